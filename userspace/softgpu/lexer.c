// SPDX-License-Identifier: MIT
/* PTX text as tokens. Never reads past the end; knows no grammar. */
#include "softgpu/lexer.h"

#include <stdlib.h>
#include <string.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) ||
	       c == '_' || c == '$';
}

static int hex_digit(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static char peek(const struct sg_lexer *lex, size_t n)
{
	return (size_t)(lex->end - lex->at) > n ? lex->at[n] : '\0';
}

static void skip_line(struct sg_lexer *lex)
{
	while (lex->at < lex->end && *lex->at != '\n')
		lex->at++;
}

static void skip_comment(struct sg_lexer *lex)
{
	lex->at += 2;
	while (lex->at < lex->end && !(lex->at[0] == '*' && peek(lex, 1) == '/'))
		lex->line += *lex->at++ == '\n';
	if (lex->at < lex->end)
		lex->at += 2;
}

static void skip_space(struct sg_lexer *lex)
{
	while (lex->at < lex->end) {
		char c = *lex->at;

		if (c == '/' && peek(lex, 1) == '/') {
			skip_line(lex);
		} else if (c == '/' && peek(lex, 1) == '*') {
			skip_comment(lex);
		} else if (c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' ||
			   c == '\v') {
			lex->line += c == '\n';
			lex->at++;
		} else {
			return;
		}
	}
}

static void name_token(struct sg_lexer *lex, enum sg_tok tok)
{
	struct sg_token *t = &lex->token;

	t->tok = tok;
	t->text = ++lex->at;
	if (tok == T_IDENT)
		t->text--;
	while (lex->at < lex->end &&
	       (is_name(*lex->at) || (tok == T_DIR && *lex->at == ':' && peek(lex, 1) == ':'))) {
		lex->at += *lex->at == ':' ? 2 : 1;
	}
	t->len = lex->at - t->text;
}

/* 0f3F800000 and 0d3FF0000000000000 */
static bool hex_float(struct sg_lexer *lex)
{
	struct sg_token *t = &lex->token;
	char c = peek(lex, 1) | 0x20;
	unsigned digits = c == 'f' ? 8 : 16;

	if (c != 'f' && c != 'd')
		return false;
	for (unsigned i = 0; i < digits; i++) {
		int d = hex_digit(peek(lex, 2 + i));

		if (d < 0)
			return false;
		t->value = t->value << 4 | (unsigned)d;
	}
	t->tok = T_FLOAT;
	t->size = digits / 2;
	lex->at += 2 + digits;
	return true;
}

static void decimal_float(struct sg_lexer *lex)
{
	char text[64];
	size_t n = 0;
	double d;

	while (n < sizeof(text) - 1 && lex->at < lex->end) {
		char c = *lex->at;
		bool sign = (c == '+' || c == '-') && n && (text[n - 1] | 0x20) == 'e';

		if (!is_digit(c) && c != '.' && (c | 0x20) != 'e' && !sign)
			break;
		text[n++] = c;
		lex->at++;
	}
	text[n] = '\0';
	d = strtod(text, NULL);
	memcpy(&lex->token.value, &d, sizeof(d));
	lex->token.tok = T_FLOAT;
	lex->token.size = 0;
}

static void integer(struct sg_lexer *lex)
{
	struct sg_token *t = &lex->token;
	unsigned base = 10;
	int d;

	if (*lex->at == '0') {
		char c = peek(lex, 1) | 0x20;

		base = c == 'x' ? 16 : c == 'b' ? 2 : 8;
		lex->at += base == 8 ? 0 : 2;
	}
	t->tok = T_INT;
	while (lex->at < lex->end && (d = hex_digit(*lex->at)) >= 0 && d < (int)base) {
		t->value = t->value * base + (unsigned)d;
		lex->at++;
	}
	if (lex->at < lex->end && *lex->at == 'U')
		lex->at++;
}

/* Does the number at hand have a point or an exponent? */
static bool looks_float(const struct sg_lexer *lex)
{
	size_t n = 0;

	while (is_digit(peek(lex, n)))
		n++;
	if (peek(lex, n) == '.')
		return true;
	return (peek(lex, n) | 0x20) == 'e' &&
	       (is_digit(peek(lex, n + 1)) || peek(lex, n + 1) == '-' || peek(lex, n + 1) == '+');
}

static void number(struct sg_lexer *lex)
{
	if (*lex->at == '0' && hex_float(lex))
		return;
	lex->token.value = 0;
	if (looks_float(lex))
		decimal_float(lex);
	else
		integer(lex);
}

static void string(struct sg_lexer *lex)
{
	struct sg_token *t = &lex->token;

	t->text = ++lex->at;
	while (lex->at < lex->end && *lex->at != '"' && *lex->at != '\n')
		lex->at++;
	t->len = lex->at - t->text;
	t->tok = peek(lex, 0) == '"' ? T_STRING : T_BAD;
	if (t->tok == T_STRING)
		lex->at++;
}

static void punctuation(struct sg_lexer *lex)
{
	static const char pairs[][3] = { "<<", ">>", "<=", ">=", "==", "!=", "&&", "||" };
	struct sg_token *t = &lex->token;
	char c = *lex->at;

	t->tok = T_PUNCT;
	t->punct = (unsigned char)c;
	t->len = 1;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		if (c == pairs[i][0] && peek(lex, 1) == pairs[i][1]) {
			t->punct = SG_PUNCT2(c, pairs[i][1]);
			t->len = 2;
		}
	}
	lex->at += t->len;
	if (!strchr("()[]{}<>,;:+-*/%&|^~!=@?", c) || !c)
		t->tok = T_BAD;
}

void sg_lex_next(struct sg_lexer *lex)
{
	struct sg_token *t = &lex->token;
	char c;

	skip_space(lex);
	*t = (struct sg_token){ .tok = T_END, .text = lex->at, .line = lex->line };
	if (lex->at >= lex->end)
		return;
	c = *lex->at;
	if (is_digit(c))
		number(lex);
	else if (is_name(c) || (c == '%' && is_name(peek(lex, 1))))
		name_token(lex, T_IDENT);
	else if (c == '.' && is_name(peek(lex, 1)))
		name_token(lex, T_DIR);
	else if (c == '"')
		string(lex);
	else
		punctuation(lex);
	if (t->tok != T_STRING && t->tok != T_DIR)
		t->len = lex->at - t->text;
}

void sg_lex_start(struct sg_lexer *lex, const char *text, size_t len)
{
	*lex = (struct sg_lexer){ .at = text, .end = text + len, .line = 1 };
	sg_lex_next(lex);
}
