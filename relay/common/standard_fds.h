/* SPDX-License-Identifier: MIT
 *
 * standard_fds: descriptors 0, 1 and 2 are open, whoever started the program.
 */
#ifndef STANDARD_FDS_H
#define STANDARD_FDS_H

/* To be called first of all in main(). Those of 0, 1 and 2 that are closed become /dev/null: else
 * the next file, socket or memory that is opened would have such a number, and what is printed
 * would go there. */
void standard_fds_open(void);

#endif
