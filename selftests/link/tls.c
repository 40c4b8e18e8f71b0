/* SPDX-License-Identifier: MIT */
/*
 * Whom a connection trusts: each way in which a certificate or a session's key can
 * be wrong is refused, and both sides get a line that says what it was.
 */
#include <fcntl.h>
#include <signal.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include "link/certs.h"
#include "link/pair.h"
#include "test.h"

/* Instead of libc's, for OpenSSL as well: hours pass when a test says so. */
static time_t passed;

time_t time(time_t *out)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	now.tv_sec += passed;
	if (out)
		*out = now.tv_sec;
	return now.tv_sec;
}

#define HOUR	3600

/* Made once: two authorities; "gpu1" is a server, "node1" and "node2" are clients. */
static struct authority ours, theirs;
static struct vgpu_pki_wish node1 = { .name = "node1" }, node2 = { .name = "node2" };

static void make_certificates(void)
{
	static char *places[] = { "gpu1.example", "127.0.0.1", "fd00::1" };
	struct vgpu_pki_wish gpu1 = { .name = "gpu1", .server = true, .addresses = places,
				      .naddresses = 3 };
	struct vgpu_pki_wish foreign = { .name = "foreign" }, late = { .name = "late" };
	struct vgpu_pki_wish foreign_gpu = { .name = "foreign-gpu", .server = true };
	struct vgpu_pki_wish early = { .name = "early", .from = time(NULL) + DAY / 2 };
	struct vgpu_pki_wish old = { .name = "old", .until = time(NULL) - 60 };

	ours = certs_authority("ours");
	theirs = certs_authority("theirs");
	certs_host(&ours, &gpu1);
	certs_host(&ours, &node1);
	certs_host(&ours, &node2);
	certs_host(&ours, &early);
	certs_host(&ours, &old);
	certs_host(&theirs, &foreign);
	certs_host(&theirs, &foreign_gpu);
	late.until = time(NULL) + HOUR;
	certs_host(&ours, &late);
	certs_list(&ours, "ours", NULL, time(NULL) + DAY);
	certs_list(&ours, "node2", &node2, time(NULL) + DAY);
	certs_list(&ours, "old", NULL, time(NULL) - 60);
	certs_list(&ours, "late", NULL, late.until);
	certs_list(&theirs, "theirs", NULL, time(NULL) + DAY);
}

/* ---- opening ---- */

static char why[256];

static int open_files(struct vgpu_tls **tls, const char *ca, const char *cert, const char *key,
		      const char *crl, bool server)
{
	const struct vgpu_tls_files files = {
		certs_path("%s", ca), certs_path("%s", cert), certs_path("%s", key),
		crl ? certs_path("%s", crl) : NULL,
	};

	why[0] = '\0';
	*tls = NULL;
	return vgpu_tls_open(tls, &files, server, why, sizeof(why));
}

static struct vgpu_tls *open_host(const char *name, const char *ca, const char *crl, bool server)
{
	char cert[64], key[64];
	struct vgpu_tls *tls;

	snprintf(cert, sizeof(cert), "%s.crt", name);
	snprintf(key, sizeof(key), "%s.key", name);
	CHECK_EQ(open_files(&tls, ca, cert, key, crl, server), 0);
	if (!tls)
		printf("# %s\n", why);
	return tls;
}

static void refuse_files(int err, const char *line, const char *ca, const char *cert,
			 const char *key, const char *crl)
{
	struct vgpu_tls *tls;

	CHECK_EQ(open_files(&tls, ca, cert, key, crl, false), err);
	if (!strstr(why, line) || strncmp(why, certs_folder, strlen(certs_folder))) {
		CHECK(!"the line that was expected");
		printf("# %s, not %s\n", why, line);
	}
	vgpu_tls_close(tls);
}

TEST(files)
{
	certs_write(certs_path("rubbish"), "rubbish\n");
	certs_write(certs_path("cut"), "-----BEGIN CERTIFICATE-----\nMIIB\n");
	certs_write(certs_path("private"), "rubbish\n");
	chmod(certs_path("private"), 0600);
	refuse_files(-ENOENT, "none.ca: No such file", "none.ca", "node1.crt", "node1.key", NULL);
	refuse_files(-ENOENT, "none.crt: No", "ours.ca", "none.crt", "node1.key", NULL);
	refuse_files(-ENOENT, "none.key: No", "ours.ca", "node1.crt", "none.key", NULL);
	refuse_files(-ENOENT, "none.crl: No", "ours.ca", "node1.crt", "node1.key", "none.crl");
	refuse_files(-EINVAL, "rubbish: there is no certificate", "rubbish", "node1.crt",
		     "node1.key", NULL);
	refuse_files(-EINVAL, "cut: not a certificate", "cut", "node1.crt", "node1.key", NULL);
	refuse_files(-EINVAL, "private: not a private key", "ours.ca", "node1.crt", "private",
		     NULL);
	refuse_files(-EINVAL, "rubbish: not a revocation list", "ours.ca", "node1.crt",
		     "node1.key", "rubbish");
	refuse_files(-EINVAL, ".: not a file", ".", "node1.crt", "node1.key", NULL);
	refuse_files(-EINVAL, "not the key of", "ours.ca", "node1.crt", "node2.key", NULL);
	refuse_files(-EINVAL, "not a certificate of a client", "ours.ca", "gpu1.crt", "gpu1.key",
		     NULL);
	refuse_files(-EKEYEXPIRED, "the certificate has expired", "ours.ca", "old.crt", "old.key",
		     NULL);
	refuse_files(-EKEYEXPIRED, "old.crl: the revocation list has expired", "ours.ca",
		     "node1.crt", "node1.key", "old.crl");
}

TEST(key_is_private)
{
	struct vgpu_tls *tls;

	chmod(certs_path("node1.key"), 0644);
	refuse_files(-EPERM, "chmod 600", "ours.ca", "node1.crt", "node1.key", NULL);
	chmod(certs_path("node1.key"), 0620);
	refuse_files(-EPERM, "chmod 600", "ours.ca", "node1.crt", "node1.key", NULL);
	/* root's may be for a group, anybody else's may not */
	chmod(certs_path("node1.key"), 0640);
	CHECK_EQ(open_files(&tls, "ours.ca", "node1.crt", "node1.key", NULL, false),
		 geteuid() ? -EPERM : 0);
	vgpu_tls_close(tls);
	chmod(certs_path("node1.key"), 0400);
	CHECK_EQ(open_files(&tls, "ours.ca", "node1.crt", "node1.key", NULL, false), 0);
	vgpu_tls_close(tls);
}

/* Nobody is asked for a password. */
TEST(key_with_password)
{
	EVP_PKEY *key = vgpu_pki_make_key();
	FILE *f = certs_file(certs_path("locked.key"));

	fchmod(fileno(f), 0600);
	PEM_write_PKCS8PrivateKey(f, key, EVP_aes_128_cbc(), "word", 4, NULL, NULL);
	fclose(f);
	EVP_PKEY_free(key);
	refuse_files(-EINVAL, "without a password", "ours.ca", "node1.crt", "locked.key", NULL);
}

/* ---- connecting ---- */

static void expect(const char *side, int err, int wanted, const char *line, const char *part)
{
	if (err == wanted && strstr(line, part))
		return;
	CHECK(!"the refusal that was expected");
	printf("# %s: %d \"%s\", not %d \"%s\"\n", side, err, line, wanted, part);
}

/* What the side that thought itself connected is told. */
static int hear(struct vgpu_stream *s)
{
	char byte;

	return pair_read(s, &byte, 1);
}

static void start(struct pair *p, struct vgpu_tls *server, struct vgpu_tls *client,
		  const char *host, int *server_err, int *client_err)
{
	int fds[2] = { -1, -1 };

	*p = (struct pair){};
	CHECK_EQ(pair_sockets(fds), 0);
	CHECK_EQ(vgpu_stream_tls(&p->server, fds[0], server, NULL), 0);
	CHECK_EQ(vgpu_stream_tls(&p->client, fds[1], client, host), 0);
	pair_shake(p, server_err, client_err);
}

static void refuse(struct vgpu_tls *server, struct vgpu_tls *client, const char *host,
		   const char *server_line, const char *client_line)
{
	int server_err, client_err;
	struct pair p;

	if (!server || !client)
		return;
	start(&p, server, client, host, &server_err, &client_err);
	if (!client_err)
		client_err = hear(p.client);
	if (!server_err)
		server_err = hear(p.server);
	expect("server", server_err, -EPROTO, vgpu_stream_error(p.server), server_line);
	expect("client", client_err, -EPROTO, vgpu_stream_error(p.client), client_line);
	pair_close(&p);
}

static void accept_pair(struct vgpu_tls *server, struct vgpu_tls *client, const char *host)
{
	struct iovec piece = pair_piece("hello", 5);
	int server_err, client_err;
	char got[5];
	struct pair p;

	start(&p, server, client, host, &server_err, &client_err);
	expect("server", server_err, 0, vgpu_stream_error(p.server), "");
	expect("client", client_err, 0, vgpu_stream_error(p.client), "");
	CHECK_EQ(vgpu_stream_write(p.client, &piece, 1), 5);
	CHECK_EQ(pair_read(p.server, got, 5), 0);
	CHECK(!memcmp(got, "hello", 5));
	pair_close(&p);
}

TEST(good)
{
	struct vgpu_tls *server = open_host("gpu1", "ours.ca", "ours.crl", true);
	struct vgpu_tls *client = open_host("node1", "ours.ca", "ours.crl", false);
	static const char *const names[] = { "gpu1", "gpu1.example", "GPU1", "127.0.0.1",
					     "fd00::1" };

	for (unsigned int i = 0; i < sizeof(names) / sizeof(*names); i++)
		accept_pair(server, client, names[i]);
	vgpu_tls_close(server);
	vgpu_tls_close(client);
}

/* As vgpu_tls_recheck(): what was shown there. */
static const char *recheck(struct vgpu_tls *tls, const struct vgpu_stream *s)
{
	struct vgpu_certificate *shown = vgpu_stream_certificate(s);
	const char *wrong = shown ? vgpu_tls_recheck(tls, shown) : "no certificate";

	vgpu_certificate_put(shown);
	return wrong;
}

TEST(identity)
{
	struct vgpu_tls *server = open_host("gpu1", "ours.ca", NULL, true);
	struct vgpu_tls *client = open_host("node1", "ours.ca", NULL, false);
	struct vgpu_identity id, again;
	int server_err, client_err;
	struct pair p;

	start(&p, server, client, "gpu1", &server_err, &client_err);
	/* streams hold what they need */
	vgpu_tls_close(client);
	vgpu_stream_identity(p.server, &id);
	CHECK(!strcmp(id.name, "node1"));
	CHECK_EQ(strspn(id.fingerprint, "0123456789abcdef"), 64);
	vgpu_stream_identity(p.client, &again);
	CHECK(!strcmp(again.name, "gpu1"));
	CHECK(strcmp(again.fingerprint, id.fingerprint));
	CHECK(!recheck(server, p.server));
	pair_close(&p);
	vgpu_tls_close(server);
}

TEST(server_refuses)
{
	struct vgpu_tls *server = open_host("gpu1", "ours.ca", "node2.crl", true);
	struct vgpu_tls *client;

	client = open_host("node2", "ours.ca", NULL, false);
	refuse(server, client, "gpu1", "certificate \"CN=node2\" has been revoked",
	       "refuses our certificate \"CN=node2\": it has been revoked");
	vgpu_tls_close(client);
	client = open_host("early", "ours.ca", NULL, false);
	refuse(server, client, "gpu1", "certificate \"CN=early\" is not valid before 20",
	       "refuses our certificate \"CN=early\"");
	vgpu_tls_close(client);
	client = open_host("foreign", "ours.ca", NULL, false);
	refuse(server, client, "gpu1", "certificate \"CN=foreign\" is of the unknown authority "
	       "\"CN=vgpu authority ", "its authority is unknown there");
	vgpu_tls_close(client);
	vgpu_tls_close(server);
}

/* Who only writes is told as well, although writing knows but of a lost connection. */
TEST(refused_writer)
{
	struct vgpu_tls *server = open_host("gpu1", "ours.ca", "node2.crl", true);
	struct vgpu_tls *client = open_host("node2", "ours.ca", NULL, false);
	struct iovec piece = pair_piece("hello", 5);
	int server_err, client_err;
	struct pair p;

	start(&p, server, client, "gpu1", &server_err, &client_err);
	CHECK_EQ(client_err, 0);
	vgpu_stream_close(p.server);
	p.server = NULL;
	for (int turns = 0; turns < 1000 && client_err != -EPROTO; turns++) {
		ssize_t n = vgpu_stream_write(p.client, &piece, 1);

		client_err = n < 0 ? n : 0;
		if (n > 0)
			usleep(1000);
	}
	expect("client", client_err, -EPROTO, vgpu_stream_error(p.client),
	       "refuses our certificate \"CN=node2\": it has been revoked");
	pair_close(&p);
	vgpu_tls_close(server);
	vgpu_tls_close(client);
}

TEST(client_refuses)
{
	struct vgpu_tls *client = open_host("node1", "ours.ca", NULL, false);
	struct vgpu_tls *server = open_host("foreign-gpu", "ours.ca", NULL, true);

	refuse(server, client, "foreign-gpu", "its authority is unknown there",
	       "certificate \"CN=foreign-gpu\" is of the unknown authority \"CN=vgpu authority ");
	vgpu_tls_close(server);
	server = open_host("gpu1", "ours.ca", NULL, true);
	refuse(server, client, "gpu2", "refuses our certificate \"CN=gpu1\"", "certificate "
	       "\"CN=gpu1\" is for gpu1, gpu1.example, 127.0.0.1, fd00::1, not for gpu2");
	refuse(server, client, "127.0.0.2", "refuses our certificate", "not for 127.0.0.2");
	vgpu_tls_close(client);
	client = open_host("node1", "ours.ca", "theirs.crl", false);
	refuse(server, client, "gpu1", "refuses our certificate",
	       "there is no revocation list of \"CN=vgpu authority ");
	vgpu_tls_close(client);
	vgpu_tls_close(server);
}

/* While the programs run. */
TEST(expires)
{
	struct vgpu_tls *server = open_host("gpu1", "ours.ca", NULL, true);
	struct vgpu_tls *listed = open_host("gpu1", "ours.ca", "late.crl", true);
	struct vgpu_tls *late = open_host("late", "ours.ca", NULL, false);
	struct vgpu_tls *node = open_host("node1", "ours.ca", NULL, false);
	struct vgpu_certificate *shown;
	int server_err, client_err;
	struct pair p;

	start(&p, server, late, "gpu1", &server_err, &client_err);
	CHECK(!server_err && !client_err && !recheck(server, p.server));
	passed = 2 * HOUR;
	shown = vgpu_stream_certificate(p.server);
	pair_close(&p);
	/* the connection is no more */
	expect("recheck", 0, 0, vgpu_tls_recheck(server, shown) ?: "nothing",
	       "certificate \"CN=late\" expired at 20");
	vgpu_certificate_put(shown);
	refuse(server, late, "gpu1", "certificate \"CN=late\" expired at 20",
	       "refuses our certificate \"CN=late\": it, or");
	refuse(listed, node, "gpu1", "the revocation list of \"CN=vgpu authority ",
	       "refuses our certificate \"CN=node1\"");
	passed = 0;
	vgpu_tls_close(server);
	vgpu_tls_close(listed);
	vgpu_tls_close(late);
	vgpu_tls_close(node);
}

TEST(reload)
{
	struct vgpu_tls *server, *client = open_host("node2", "ours.ca", NULL, false);
	int server_err, client_err;
	struct pair p;

	certs_list(&ours, "now", NULL, time(NULL) + DAY);
	server = open_host("gpu1", "ours.ca", "now.crl", true);
	start(&p, server, client, "gpu1", &server_err, &client_err);
	CHECK(!server_err && !client_err);
	CHECK(!recheck(server, p.server));
	/* what cannot be read changes nothing */
	certs_write(certs_path("now.crl"), "rubbish\n");
	CHECK_EQ(vgpu_tls_reload(server, why, sizeof(why)), -EINVAL);
	CHECK(strstr(why, "now.crl: not a revocation list"));
	accept_pair(server, client, "gpu1");
	certs_list(&ours, "now", &node2, time(NULL) + DAY);
	CHECK_EQ(vgpu_tls_reload(server, why, sizeof(why)), 0);
	expect("recheck", 0, 0, recheck(server, p.server) ?: "nothing",
	       "certificate \"CN=node2\" has been revoked");
	refuse(server, client, "gpu1", "has been revoked", "it has been revoked");
	/* the connection itself is not the worse for it */
	CHECK_EQ(vgpu_stream_write(p.client, &(struct iovec){ "x", 1 }, 1), 1);
	CHECK_EQ(pair_read(p.server, why, 1), 0);
	pair_close(&p);
	vgpu_tls_close(server);
	vgpu_tls_close(client);
}

/* A certificate of a server cannot be had without saying for which host. */
TEST(host_is_needed)
{
	struct vgpu_tls *client = open_host("node1", "ours.ca", NULL, false);
	struct vgpu_stream *s;
	int fds[2] = { -1, -1 };

	REQUIRE(!pair_sockets(fds));
	CHECK_EQ(vgpu_stream_tls(&s, fds[1], client, NULL), -EINVAL);
	/* the descriptor is gone nevertheless */
	CHECK(close(fds[1]) && errno == EBADF);
	close(fds[0]);
	vgpu_tls_close(client);
}

/* ---- others than us ---- */

/* OpenSSL as a client, with or without a certificate, against @server. */
static void strange_client(struct vgpu_tls *server, const char *cert, int version,
			   const char *line)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(context);
	int fds[2] = { -1, -1 }, err = -EAGAIN;
	struct vgpu_stream *s = NULL;

	CHECK_EQ(pair_sockets(fds), 0);
	if (cert) {
		SSL_use_certificate_file(ssl, certs_path("%s.crt", cert), SSL_FILETYPE_PEM);
		SSL_use_PrivateKey_file(ssl, certs_path("%s.key", cert), SSL_FILETYPE_PEM);
	}
	SSL_set_max_proto_version(ssl, version);
	SSL_set_fd(ssl, fds[1]);
	fcntl(fds[1], F_SETFL, O_NONBLOCK);
	CHECK_EQ(vgpu_stream_tls(&s, fds[0], server, NULL), 0);
	for (int turns = 0; turns < 100 && err == -EAGAIN; turns++) {
		SSL_connect(ssl);
		pair_wait(s);
		err = vgpu_stream_handshake(s);
	}
	expect("server", err, -EPROTO, vgpu_stream_error(s), line);
	vgpu_stream_close(s);
	close(fds[1]);
	SSL_free(ssl);
	SSL_CTX_free(context);
	ERR_clear_error();
}

static void strange_bytes(struct vgpu_tls *server, const void *bytes, size_t n, int wanted,
			  const char *line)
{
	int fds[2] = { -1, -1 }, err = -EAGAIN;
	struct vgpu_stream *s = NULL;

	CHECK_EQ(pair_sockets(fds), 0);
	CHECK_EQ(vgpu_stream_tls(&s, fds[0], server, NULL), 0);
	CHECK_EQ(vgpu_stream_handshake(s), -EAGAIN);
	CHECK_EQ(send(fds[1], bytes, n, 0), n);
	shutdown(fds[1], SHUT_WR);
	for (int turns = 0; turns < 100 && err == -EAGAIN; turns++) {
		pair_wait(s);
		err = vgpu_stream_handshake(s);
	}
	expect("server", err, wanted, vgpu_stream_error(s), line);
	CHECK_EQ(vgpu_stream_handshake(s), wanted);
	vgpu_stream_close(s);
	close(fds[1]);
}

TEST(strangers)
{
	struct vgpu_tls *server = open_host("gpu1", "ours.ca", NULL, true);
	uint8_t bytes[100];

	strange_client(server, NULL, TLS1_3_VERSION, "the other side gave no certificate");
	strange_client(server, "gpu1", TLS1_3_VERSION,
		       "certificate \"CN=gpu1\" is not meant for a client");
	strange_client(server, "node1", TLS1_2_VERSION, "does not know TLS 1.3");
	strange_bytes(server, "GET / HTTP/1.1\r\n\r\n", 18, -EPROTO, "is not TLS");
	strange_bytes(server, "SSH-2.0-OpenSSH_9.2\r\n", 21, -EPROTO, "is not TLS");
	strange_bytes(server, "\x16", 1, -EPIPE, "closed the connection during the TLS handshake");
	for (int i = 0; i < 200; i++) {
		struct vgpu_stream *s = NULL;
		int fds[2] = { -1, -1 };

		RAND_bytes(bytes, sizeof(bytes));
		bytes[0] = i % 2 ? 0x16 : bytes[0];
		bytes[1] = i % 4 ? 3 : bytes[1];
		CHECK_EQ(pair_sockets(fds), 0);
		CHECK_EQ(vgpu_stream_tls(&s, fds[0], server, NULL), 0);
		CHECK_EQ(send(fds[1], bytes, sizeof(bytes), 0), sizeof(bytes));
		close(fds[1]);
		for (int turns = 0; turns < 100 && vgpu_stream_handshake(s) == -EAGAIN; turns++)
			pair_wait(s);
		CHECK(vgpu_stream_handshake(s) != -EAGAIN && vgpu_stream_handshake(s));
		vgpu_stream_close(s);
	}
	vgpu_tls_close(server);
}

/* ---- sessions' keys ---- */

static const uint8_t id1[VGPU_SESSION_ID] = "session 1", id2[VGPU_SESSION_ID] = "session 2";
static const uint8_t secret1[VGPU_SECRET] = "secret 1", secret2[VGPU_SECRET] = "secret 2";

static struct vgpu_tls *open_key(const uint8_t *id, const uint8_t *secret, bool server)
{
	struct vgpu_tls *tls = NULL;

	CHECK_EQ(vgpu_tls_session(&tls, id, secret, server), 0);
	return tls;
}

TEST(session_key)
{
	struct vgpu_tls *server = open_key(id1, secret1, true);
	struct vgpu_tls *client = open_key(id1, secret1, false);
	struct vgpu_identity id;
	int server_err, client_err;
	struct pair p;

	accept_pair(server, client, NULL);
	start(&p, server, client, NULL, &server_err, &client_err);
	vgpu_stream_identity(p.server, &id);
	CHECK(!id.name[0] && !id.fingerprint[0]);
	CHECK(!vgpu_stream_certificate(p.server));
	pair_close(&p);
	vgpu_tls_close(client);
	client = open_key(id1, secret2, false);
	refuse(server, client, NULL, "does not have this session's key",
	       "does not take this session's key");
	vgpu_tls_close(client);
	client = open_key(id2, secret1, false);
	refuse(server, client, NULL, "comes for another session",
	       "does not take this session's key");
	vgpu_tls_close(client);
	vgpu_tls_close(server);
}

/* Neither side takes a certificate in place of the key, not even a good one. */
TEST(key_or_nothing)
{
	struct vgpu_tls *keyed_server = open_key(id1, secret1, true);
	struct vgpu_tls *keyed_client = open_key(id1, secret1, false);
	struct vgpu_tls *server = open_host("gpu1", "ours.ca", NULL, true);
	struct vgpu_tls *client = open_host("node1", "ours.ca", NULL, false);

	refuse(server, keyed_client, NULL, "its authority is unknown there",
	       "the other side did not use this session's key");
	refuse(keyed_server, client, "gpu1", "the other side did not use this session's key",
	       "the other side ended TLS: handshake failure");
	strange_client(keyed_server, "node1", TLS1_3_VERSION,
		       "the other side did not use this session's key");
	vgpu_tls_close(keyed_server);
	vgpu_tls_close(keyed_client);
	vgpu_tls_close(server);
	vgpu_tls_close(client);
}

int main(int argc, char **argv)
{
	int failed;

	signal(SIGPIPE, SIG_DFL);
	certs_begin();
	make_certificates();
	failed = test_main(argc, argv);
	certs_authority_free(&ours);
	certs_authority_free(&theirs);
	return failed;
}
