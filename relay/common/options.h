/* SPDX-License-Identifier: MIT
 *
 * options: one table per program declares every option once. Parsing the command line and the
 * environment, --help, the man page and the settings recorded in results all come from it.
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* The exit code of every program here for a wrong command line or environment (EX_USAGE). */
#define EXIT_USAGE 64

enum option_type {
	OPTION_END,	/* closes a table */
	OPTION_HEADING, /* `help` is the title of the options that follow */
	OPTION_FLAG,	/* bool; takes no argument */
	OPTION_UINT,	/* uint64_t from min to max */
	OPTION_SECONDS, /* uint64_t milliseconds from min to max; written in seconds, "2.5" */
	OPTION_STRING,	/* const char *; points into argv, the environment or the table */
	OPTION_IPV4,	/* struct in_addr; dotted quad */
	OPTION_LIST,	/* struct option_list; may be given several times */
};

struct option_def {
	enum option_type type;
	const char *name;   /* long option, without the dashes */
	const char *arg;    /* what the argument is called in help: "BYTES"; NULL for a flag */
	const char *env;    /* environment variable of the same meaning; NULL if there is none */
	uint64_t min, max;  /* OPTION_UINT, OPTION_SECONDS: inclusive */
	const char *preset; /* default, as the user would write it; NULL: zero / unset */
	bool required;	    /* refused when neither given nor in the environment */
	size_t offset;	    /* of the field in the program's config struct */
	const char *help;   /* one or two sentences, with the unit; shown in --help and man page */
};

struct option_list {
	const char *item[256];
	unsigned count;
};

struct program {
	const char *name;    /* "mcrelay", "trafficgen send" */
	const char *usage;   /* "--config FILE [OPTION]..." */
	const char *purpose; /* what it does: one paragraph */
	const char *closing; /* examples and the like, printed last; may be NULL */
	const struct option_def *options;
	bool takes_arguments; /* words behind the options are left to the caller, from optind on */
};

/* Fills *config from defaults, then environment, then the command line (argv[0] is skipped).
 * 0: go on; 1: --help, --version or --man-options was asked for and printed, exit 0;
 * -EINVAL: refused, one line on stderr says what, where and what to do; exit EXIT_USAGE. */
int options_parse(const struct program *program, int argc, char **argv, void *config);

/* One line on stderr in the form of options_parse's own refusals; returns -EINVAL. For rules
 * between options ("--verify needs --size of 22 or more"). */
int options_refuse(const struct program *program, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* New JSON object {name: value}; strings that are unset, or not UTF-8, are null.
 * NULL when out of memory. */
json_t *options_to_json(const struct option_def *options, const void *config);

#endif
