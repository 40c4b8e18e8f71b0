/* SPDX-License-Identifier: MIT */
/* PTX text as tokens. */
#ifndef SOFTGPU_LEXER_H
#define SOFTGPU_LEXER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sg_tok {
	T_END,
	T_BAD,		/* bytes that are no token */
	T_IDENT,	/* name, %name, $name, or a lone _ */
	T_DIR,		/* .name, also .a::b; text without the dot */
	T_INT,
	T_FLOAT,	/* value holds the bits of a double or, size 4, a float */
	T_STRING,	/* text without the quotes */
	T_PUNCT,	/* one character, or one of << >> <= >= == != && || */
};

struct sg_token {
	enum sg_tok	tok;
	const char	*text;
	unsigned	len;
	unsigned	line;
	uint64_t	value;
	unsigned	size;		/* T_FLOAT: 4 or 8; 0: decimal */
	int		punct;		/* character, or two packed as a << 8 | b */
};

struct sg_lexer {
	const char	*at;
	const char	*end;
	unsigned	line;
	struct sg_token	token;		/* the current one */
};

#define SG_PUNCT2(a, b)		((a) << 8 | (b))

void sg_lex_start(struct sg_lexer *lex, const char *text, size_t len);
void sg_lex_next(struct sg_lexer *lex);

#endif /* SOFTGPU_LEXER_H */
