/* SPDX-License-Identifier: MIT */
/* Between the two files that read the configuration. */
#ifndef VGPU_VGPUD_CONFIG_KEYS_H
#define VGPU_VGPUD_CONFIG_KEYS_H

#include <stdio.h>
#include "vgpud/config.h"

enum config_section {
	CONFIG_NONE,
	CONFIG_DAEMON,
	CONFIG_TLS,
	CONFIG_SERVER,
	CONFIG_DEVICE,
	CONFIG_SOCKET,
	CONFIG_SECTIONS
};

struct config_parser {
	struct vgpu_config	*config;
	char			*why;
	size_t			room;
	bool			failed;		/* @why says how */
	char			**files;
	unsigned		nfiles;
	FILE			*file;		/* the one that is read, */
	struct vgpu_config_place here;		/* and where */
	enum config_section	section;	/* and in what: */
	unsigned		item;		/* which server or device */
};

/* Put a line about what is wrong at @at into p->why: -EINVAL. */
int config_wrong(struct config_parser *p, const struct vgpu_config_place *at, const char *format,
		 ...) __attribute__((format(printf, 3, 4)));

/* [@name] begins. 0 or -errno, like the others. */
int config_section(struct config_parser *p, const char *name);
int config_key(struct config_parser *p, const char *name, const char *value);
/* All was read: does it make sense together? */
int config_whole(struct config_parser *p);

#endif /* VGPU_VGPUD_CONFIG_KEYS_H */
