/* SPDX-License-Identifier: MIT
 *
 * add: a rule from the command line.
 */
#ifndef ADD_H
#define ADD_H

#include <jansson.h>

/* "add OPTION...": *request is a new reference. 0; or as options_parse, when there is none. */
int add_request(int argc, char **argv, json_t **request);

#endif
