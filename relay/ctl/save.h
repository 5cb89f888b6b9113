/* SPDX-License-Identifier: MIT
 *
 * save: the rules in force as a rule file.
 */
#ifndef SAVE_H
#define SAVE_H

#include "common/options.h"

extern const struct program save_program;

/* "save FILE". The exit status, after a line on stderr if it is not 0. */
int save_run(const char *socket_path, int argc, char **argv);

#endif
