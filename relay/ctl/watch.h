/* SPDX-License-Identifier: MIT
 *
 * watch: rates, losses and waiting rules, again and again.
 */
#ifndef WATCH_H
#define WATCH_H

#include "common/options.h"

extern const struct program watch_program;

/* "watch [--interval SECONDS]": until a signal ends it. The exit status, when there is no relay to
 * begin with. */
int watch_run(const char *socket_path, int argc, char **argv);

#endif
