/* SPDX-License-Identifier: MIT
 *
 * standard_fds: descriptors 0, 1 and 2 are open, whoever started the program; and what it has
 * printed has been written when it ends.
 */
#ifndef STANDARD_FDS_H
#define STANDARD_FDS_H

/* To be called first of all in main(). Those of 0, 1 and 2 that are closed become /dev/null: else
 * the next file, socket or memory that is opened would have such a number, and what is printed
 * would go there. */
void standard_fds_open(void);

/* To be called last of all in main(), with the exit status so far; returns that of the program.
 * What has been printed and cannot be written, on a full disk or into a closed pipe, turns
 * EXIT_SUCCESS into EXIT_FAILURE, and one line on stderr says so. */
int standard_output_finish(const char *program, int status);

#endif
