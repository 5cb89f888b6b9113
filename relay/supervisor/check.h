/* SPDX-License-Identifier: MIT
 *
 * check: what would become of a rule file on this host now. Opens nothing but UDP sockets to ask
 * for routes, sends nothing, changes nothing; needs no privileges.
 */
#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>

enum {
	CHECK_RUN = 0,	   /* all rules would run */
	CHECK_REFUSED = 1, /* the file, or one of its rules, would be refused */
	CHECK_WAIT = 3,	   /* at least one would wait, or not be let run */
};

/* Prints a line for each rule on stdout, as text with a sum at the end, or as JSON objects; what is
 * wrong with the file as a whole goes to the log. Returns the exit status. */
int check_rule_file(const char *path, bool json);

#endif
