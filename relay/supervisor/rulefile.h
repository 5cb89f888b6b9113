/* SPDX-License-Identifier: MIT
 *
 * rulefile: the JSON rule file -> struct rules, or one sentence on what is wrong with it.
 *
 *   {"rules":[{"id":"video",
 *              "input":{"interface":"eth0","group":"239.1.1.1","port":5000},
 *              "outputs":[{"group":"239.2.2.2","port":6000,"interface":"eth1","ttl":8}]}]}
 *
 * "group" may be a unicast address as well. "id" and "ttl" may be left out (a hash of the input;
 * 1). "outputs": [] receives and counts. An output may have "dscp" (0), "source" (the interface's
 * primary address) and "source_port" (one that is free), too. "ttl":"decrement" and "dscp":"keep"
 * take from each packet what it came with. An input may have "sources", addresses and prefixes
 * whose packets it takes (any), which may stand beside it as well; rules with different ones may
 * have the same interface, group and port. The list of rules may be
 * empty. Interfaces need not be there yet.
 */
#ifndef RULEFILE_H
#define RULEFILE_H

#include "contract/rules.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define RULEFILE_ERROR_BYTES 512

/* The index of the interface of this name; 0: there is none now, which is no reason to refuse a
 * rule. Two names may be one interface's. */
typedef unsigned (*rulefile_interface)(const char *name, void *context);

/* Reads and checks the whole file. 0: *rules is filled, to be freed with rules_free. -EINVAL or
 * another negative errno: `error` says "FILE: $.rules[0].input.port: found 0, expected ...". */
int rulefile_load(const char *path, rulefile_interface interface, void *context,
		  struct rules *rules, char error[RULEFILE_ERROR_BYTES]);

/* The same from `length` bytes in memory; `name` stands for the path in messages. */
int rulefile_parse(const char *name, const char *text, size_t length, rulefile_interface interface,
		   void *context, struct rules *rules, char error[RULEFILE_ERROR_BYTES]);

/* The same from a document, which the caller keeps. */
int rulefile_from_json(const char *name, json_t *document, rulefile_interface interface,
		       void *context, struct rules *rules, char error[RULEFILE_ERROR_BYTES]);

/* Input and output as a rule file has them. NULL when out of memory. */
json_t *rule_input_to_json(const struct rule *rule);
json_t *rule_output_to_json(const struct rule_output *output);

/* The rules as the array that a rule file has under "rules". NULL when out of memory. */
json_t *rules_to_json(const struct rules *rules);

#endif
