// SPDX-License-Identifier: MIT
/*
 * trafficgen: sends numbered multicast packets at an exact rate, and accounts for them where they
 * arrive. The table below is the whole command line; send.c, recv.c and calibrate.c are the
 * subcommands, run.c what the first two share.
 */
#include "common/options.h"
#include "common/standard_fds.h"
#include "common/version.h"
#include "trafficgen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct command {
	const char *name;
	int (*main)(int argc, char **argv);
	const char *purpose;
} commands[] = {
	{"send", send_main, "send numbered packets to a group at an exact rate"},
	{"recv", recv_main, "receive them; report loss, duplicates, order, corruption, latency"},
	{"calibrate", calibrate_main, "measure how fast this machine is at what a relay does most"},
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static int help(void)
{
	printf("Usage: trafficgen COMMAND [OPTION]...\n\nCommands:\n");
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		printf("  %-11s%s\n", commands[i].name, commands[i].purpose);
	printf("\n'trafficgen COMMAND --help' lists the options of a command.\n");
	return EXIT_SUCCESS;
}

static int dispatch(int argc, char **argv)
{
	const struct program program = {.name = "trafficgen"};
	const char *name = argc > 1 ? argv[1] : "";

	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		return help();
	if (strcmp(name, "--version") == 0) {
		printf("trafficgen %s\n", MCRELAY_VERSION);
		return EXIT_SUCCESS;
	}
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (strcmp(name, commands[i].name) == 0)
			return commands[i].main(argc - 1, argv + 1);
	options_refuse(&program, *name ? "unknown command '%s'" : "expected a command%s", name);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	standard_fds_open();
	return standard_output_finish("trafficgen", dispatch(argc, argv));
}
