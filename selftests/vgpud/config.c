/* SPDX-License-Identifier: MIT */
/* vgpud.conf: what is read, what comes later counts, and a line for each mistake. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "vgpud/config.h"
#include "test.h"

static char folder[] = "/tmp/vgpud-config-XXXXXX";
static char path[64], why[1024];

static void write_file(const char *name, const char *text)
{
	char full[128];
	FILE *f;

	snprintf(full, sizeof(full), "%s/%s", folder, name);
	f = fopen(full, "w");
	if (!f || fputs(text, f) < 0 || fclose(f))
		abort();
}

static void remove_file(const char *name)
{
	char full[128];

	snprintf(full, sizeof(full), "%s/%s", folder, name);
	unlink(full);
}

static struct vgpu_config *read_text(const char *text)
{
	struct vgpu_config *c = NULL;

	write_file("vgpud.conf", text);
	why[0] = 0;
	return vgpu_config_read(&c, path, why, sizeof(why)) ? NULL : c;
}

#define SERVER	"[server a]\naddress = gpuhost\n"

TEST(the_least_there_can_be)
{
	struct vgpu_config *c = read_text(SERVER);

	REQUIRE(c);
	CHECK_EQ(c->nservers, 1);
	CHECK(!strcmp(c->servers[0].name, "a"));
	CHECK(!strcmp(c->servers[0].address, "gpuhost"));
	CHECK(!c->servers[0].plain);
	CHECK(!c->ctl[0]);
	CHECK(!strcmp(c->socket, "/run/vgpu/server.sock"));
	CHECK(!strcmp(c->status, "/run/vgpu/vgpud.status"));
	CHECK_EQ(c->grace, 60);
	CHECK_EQ(c->sessions, 1024);
	CHECK_EQ(c->ndevices + c->nsocket_gpus, 0);
	CHECK(!strcmp(c->key, "/etc/vgpu/tls/host.key"));
	vgpu_config_free(c);
}

TEST(everything)
{
	struct vgpu_config *c = read_text(
		"\xef\xbb\xbf# a comment\n; another\n\n"
		"[daemon]\nctl = none\nsocket=/s\nstatus: none\ngrace = 3\nsessions = 5\n"
		"sessions_per_user = 4\n"
		"[tls]\nca = /1\ncert = /2\nkey = /3\ncrl = /4\n"
		"[ server  big-1.x ]  # with blanks\naddress = [fe80::1]:7777\n"
		"plain = yes ; or no\n"
		"name = gpu.example\n"
		"[device 0]\nserver = big-1.x\n"
		"[device 1023]\nserver = other\ngpu = 7\nlink = tcp\n"
		"[server other]\naddress = 10.0.0.1:1\n"
		"[socket]\ngpus = other:1 , other:0");

	if (!c)
		printf("# %s\n", why);
	REQUIRE(c);
	CHECK(!strcmp(c->ctl, "none") && !strcmp(c->socket, "/s"));
	CHECK(!strcmp(c->status, "none"));
	CHECK(c->grace == 3 && c->sessions == 5 && c->sessions_per_user == 4);
	CHECK(!strcmp(c->ca, "/1") && !strcmp(c->cert, "/2") && !strcmp(c->key, "/3"));
	CHECK(!strcmp(c->crl, "/4"));
	CHECK_EQ(vgpu_config_find(c, "big-1.x"), 0);
	CHECK_EQ(vgpu_config_find(c, "other"), 1);
	CHECK_EQ(vgpu_config_find(c, "oth"), -1);
	CHECK(c->servers[0].plain && !c->servers[1].plain);
	CHECK(!strcmp(c->servers[0].certificate, "gpu.example"));
	CHECK_EQ(c->ndevices, 2);
	CHECK(c->devices[0].number == 0 && c->devices[0].gpu.ordinal == 0);
	CHECK(c->devices[1].number == 1023 && c->devices[1].gpu.ordinal == 7);
	CHECK(!strcmp(c->devices[1].gpu.server, "other"));
	CHECK_EQ(vgpu_config_link(c, 0), VGPU_LINK_AUTO);
	CHECK_EQ(vgpu_config_link(c, 1), VGPU_LINK_AUTO);
	CHECK_EQ(vgpu_config_link(c, 1023), VGPU_LINK_TCP);
	CHECK_EQ(c->nsocket_gpus, 2);
	CHECK(c->socket_gpus[0].ordinal == 1 && c->socket_gpus[1].ordinal == 0);
	vgpu_config_free(c);
}

TEST(dropins_come_later_in_order)
{
	struct vgpu_config *c;

	write_file("conf.d/20-b.conf", "[server a]\naddress = second\n[device 3]\nserver = b\n");
	write_file("conf.d/10-a.conf", "[server a]\naddress = first\nplain = yes\n"
		   "[server b]\naddress = b\n");
	write_file("conf.d/30-c.conf~", "nonsense\n");
	write_file("conf.d/.40.conf", "nonsense\n");
	c = read_text(SERVER "[daemon]\ngrace = 7\n");
	CHECK(c);
	if (c) {
		CHECK(!strcmp(c->servers[0].address, "second"));
		CHECK(c->servers[0].plain);
		CHECK_EQ(c->nservers, 2);
		CHECK_EQ(c->ndevices, 1);
		CHECK_EQ(c->grace, 7);
	}
	vgpu_config_free(c);
	/* The line names the file that it is about. */
	write_file("conf.d/20-b.conf", "\n[server a]\nadress = x\n");
	CHECK(!read_text(SERVER));
	CHECK(strstr(why, "/conf.d/20-b.conf:3: [server NAME] has no \"adress\""));
	remove_file("conf.d/20-b.conf");
	remove_file("conf.d/10-a.conf");
	remove_file("conf.d/30-c.conf~");
	remove_file("conf.d/.40.conf");
}

#define LONG32	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LONG200	LONG32 LONG32 LONG32 LONG32 LONG32 LONG32 LONG32

static const struct {
	const char *text, *line;
} mistakes[] = {
	{ "", "vgpud.conf:1: no server is named: [server NAME] with address = HOST" },
	{ "\nx\n", ":2: this is neither [SECTION] nor KEY = VALUE nor # comment" },
	{ "x = 1\n", ":1: \"x\" is in no section" },
	{ "[deamon]\n", ":1: there is no [deamon]; there are [daemon], [tls], [server NAME]" },
	{ "[daemon x]\n", ":1: there is no [daemon x]" },
	{ "[server]\n", ":1: there is no [server]" },
	{ "[device]\n", ":1: there is no [device]" },
	{ "[]\n", ":1: there is no []" },
	{ "[daemon\n", ":1: a section is written [NAME]" },
	{ "[daemon] x\n", ":1: there is something behind [daemon]" },
	{ "[daemon]\nx = 1\n", ":2: [daemon] has no \"x\"; it has ctl, socket, status, grace" },
	{ "[daemon]\ngrace = 0\n", ":2: grace = \"0\" cannot be: it is 1 to 86400 seconds" },
	{ "[daemon]\ngrace = 86401\n", ":2: grace" },
	{ "[daemon]\ngrace = 1s\n", ":2: grace" },
	{ "[daemon]\ngrace = +1\n", ":2: grace" },
	{ "[daemon]\ngrace = 01\n", ":2: grace" },
	{ "[daemon]\ngrace =\n", ":2: grace" },
	{ "[daemon]\nsessions = 99999999999999999999\n", ":2: sessions" },
	{ "[daemon]\nsessions_per_user = 0\n", ":2: sessions_per_user" },
	{ "[daemon]\nctl = dev\n", ":2: ctl = \"dev\" cannot be: it is an absolute path, or none" },
	{ "[daemon]\nsocket = /" LONG32 LONG32 LONG32 LONG32 "\n", ":2: socket" },
	{ "[daemon]\nstatus = /\n", ":2: status" },
	{ "[tls]\nca = none\n", ":2: ca = \"none\" cannot be: it is an absolute path" },
	{ "[tls]\nname = x\n", ":2: [tls] has no \"name\"; it has ca, cert, key, crl" },
	{ "[server a]\n", ":1: [server a] has no address = HOST" },
	{ "[server a]\naddress =\n", ":2: address" },
	{ "[server a]\naddress = :7\n", ":2: address" },
	{ "[server a]\naddress = h:0x7\n", ":2: address" },
	{ "[server a]\naddress = h:65536\n", ":2: address" },
	{ "[server a]\naddress = a b\n", ":2: address" },
	{ "[server a]\nplain = true\n", ":2: plain = \"true\" cannot be: it is yes or no" },
	{ "[server a]\nname = a b\n", ":2: name" },
	{ "[server a]\nport = 1\n", ":2: [server NAME] has no \"port\"; it has address, plain" },
	{ "[server local]\n", ":1: \"local\" is not a server's name" },
	{ "[server a:0]\n", ":1: \"a:0\" is not a server's name" },
	{ "[server .a]\n", ":1: \".a\" is not a server's name" },
	{ "[server a b]\n", ":1: \"a b\" is not a server's name" },
	{ "[server " LONG32 "a]\n", ":1: \"" LONG32 "a\" is not a server's name" },
	{ SERVER "[device x]\n", ":3: \"x\" is not the N of a /dev/vgpuN: 0 to 1023" },
	{ SERVER "[device 1024]\n", ":3: \"1024\" is not" },
	{ SERVER "[device 00]\n", ":3: \"00\" is not" },
	{ SERVER "[device -1]\n", ":3: \"-1\" is not" },
	{ SERVER "[device 1]\n", ":3: [device 1] has no server = NAME" },
	{ SERVER "[device 1]\ngpu = 0\n", ":3: [device 1] has no server = NAME" },
	{ SERVER "[device 1]\nserver = b\n",
	  ":3: [device 1] is of server \"b\", and there is no [server b]" },
	{ SERVER "[device 1]\nserver = /\n", ":4: server = \"/\" cannot be" },
	{ SERVER "[device 1]\ngpu = -1\n",
	  ":4: gpu = \"-1\" cannot be: it is the number of a GPU" },
	{ SERVER "[device 1]\nlink = rdma\n",
	  ":4: link = \"rdma\" cannot be: it is auto, verbs or tcp" },
	{ SERVER "[socket]\ngpus = a\n", ":4: gpus = \"a\" cannot be: it is SERVER:K" },
	{ SERVER "[socket]\ngpus =\n", ":4: gpus" },
	{ SERVER "[socket]\ngpus = a:0,\n", ":4: gpus" },
	{ SERVER "[socket]\ngpus = a:0 a:1\n", ":4: gpus" },
	{ SERVER "[socket]\ngpus = a:0,a:0,a:0,a:0,a:0,a:0,a:0,a:0,a:0,a:0,a:0,a:0,a:0,a:0,a:0,"
	  "a:0,a:0\n", ":4: gpus" },
	{ SERVER "[socket]\ngpus = b:0\n", ":4: [socket] has a GPU of server \"b\"" },
	{ SERVER "[server b]\naddress = b\n[socket]\ngpus = a:0, b:0\n",
	  ":6: the GPUs of [socket] are of \"a\" and \"b\": a program has one server" },
	{ SERVER "# " LONG200 "\n", ":3: a line is at most 197 bytes of text long" },
	{ SERVER "name = " LONG200 "\n", ":3: a line is at most 197 bytes of text long" },
};

TEST(mistakes_have_a_line)
{
	for (unsigned i = 0; i < sizeof(mistakes) / sizeof(*mistakes); i++) {
		struct vgpu_config *c = read_text(mistakes[i].text);

		if (c || !strstr(why, mistakes[i].line) || strncmp(why, folder, strlen(folder)))
			printf("# %s: \"%s\", not \"%s\"\n", mistakes[i].text, why,
			       mistakes[i].line);
		CHECK(!c);
		CHECK(strstr(why, mistakes[i].line));
		CHECK(!strncmp(why, folder, strlen(folder)));
		CHECK(!strchr(why, '\n'));
		vgpu_config_free(c);
	}
}

TEST(more_servers_than_there_may_be)
{
	char text[VGPU_CONFIG_SERVERS * 40 + 80] = "";
	struct vgpu_config *c;

	for (int i = 0; i < VGPU_CONFIG_SERVERS; i++)
		sprintf(text + strlen(text), "[server s%d]\naddress = h%d\n", i, i);
	c = read_text(text);
	CHECK(c);
	vgpu_config_free(c);
	strcat(text, "[server more]\naddress = h\n");
	CHECK(!read_text(text));
	CHECK(strstr(why, ": there can be at most 64 servers"));
}

TEST(files_that_cannot_be_read)
{
	struct vgpu_config *c;

	CHECK_EQ(vgpu_config_read(&c, "/nonexistent/vgpud.conf", why, sizeof(why)), -ENOENT);
	CHECK(!strcmp(why, "/nonexistent/vgpud.conf: No such file or directory"));
	CHECK(vgpu_config_read(&c, folder, why, sizeof(why)) < 0);
	CHECK(strstr(why, folder));
}

TEST(gpus)
{
	static const char *const bad[] = {
		"", "a", ":", "a:", ":0", "a:-1", "a:01", "a:0 ", " a:0", "a:0x0", "local:0",
		"a:2147483648", "a b:0", "a:b:0", LONG32 "a:0",
	};
	struct vgpu_config_gpu g;

	CHECK_EQ(vgpu_config_gpu_parse("gpu-1:2147483647", &g), 0);
	CHECK(!strcmp(g.server, "gpu-1") && g.ordinal == 2147483647);
	CHECK_EQ(vgpu_config_gpu_parse(LONG32 ":0", &g), 0);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		if (vgpu_config_gpu_parse(bad[i], &g) != -EINVAL)
			printf("# \"%s\"\n", bad[i]);
		CHECK_EQ(vgpu_config_gpu_parse(bad[i], &g), -EINVAL);
	}
}

/* Cheap noise: no text may do more than be refused. */
TEST(random_text)
{
	static const char *const words[] = {
		"[", "]", "server", "device", " ", "=", "\n", "daemon", "a", "0", ":", ";", "#",
		"grace", "\t", "\r", "address", ",", "socket", "gpus", "\x01", "\xff",
		"[server a]\n", "address = h\n", "[device 0]\n", "gpu = 0\n",
		"server = a\n", "[socket]\n", "\"",
	};
	const unsigned n = sizeof(words) / sizeof(*words);
	unsigned good = 0;

	srand(1);
	for (int i = 0; i < 5000; i++) {
		char text[600] = "";	/* 39 words of at most 12 bytes, and a server */
		struct vgpu_config *c;

		strcpy(text, i % 2 ? SERVER : "");
		for (int k = rand() % 40; k; k--)
			strcat(text, words[rand() % n]);
		c = read_text(text);
		good += c != NULL;
		CHECK(c || why[0]);
		vgpu_config_free(c);
	}
	CHECK(good);
}

int main(int argc, char **argv)
{
	char dropins[64], command[80];
	int status;

	if (!mkdtemp(folder))
		return 1;
	snprintf(path, sizeof(path), "%s/vgpud.conf", folder);
	snprintf(dropins, sizeof(dropins), "%s/conf.d", folder);
	if (mkdir(dropins, 0700))
		return 1;
	status = test_main(argc, argv);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command) ? 1 : status;
}
