// SPDX-License-Identifier: MIT
/*
 * trafficgen: sends numbered multicast packets at an exact rate, and accounts for them where they
 * arrive. The table below is the whole command line; each subcommand is one file (send.c, recv.c).
 * The rest of this file is what both of them share (trafficgen.h).
 */
#include "common/json_file.h"
#include "common/options.h"
#include "common/version.h"
#include "trafficgen.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct command {
	const char *name;
	int (*main)(int argc, char **argv);
	const char *purpose;
} commands[] = {
	{"send", send_main, "send numbered packets to a group at an exact rate"},
	{"recv", recv_main, "receive them; report loss, duplicates, order, corruption, latency"},
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static int help(void)
{
	printf("Usage: trafficgen COMMAND [OPTION]...\n\nCommands:\n");
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		printf("  %-8s%s\n", commands[i].name, commands[i].purpose);
	printf("\n'trafficgen COMMAND --help' lists the options of a command.\n");
	return EXIT_SUCCESS;
}

static int dispatch(int argc, char **argv)
{
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
	fprintf(stderr, "trafficgen: %s%s%s; see 'trafficgen --help'\n",
		*name ? "unknown command '" : "expected a command", name, *name ? "'" : "");
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	int status = dispatch(argc, argv);

	/* the report is the product: a full disk or a closed pipe behind stdout is a failure */
	if ((fflush(stdout) != 0 || ferror(stdout)) && status == EXIT_SUCCESS) {
		fprintf(stderr, "trafficgen: cannot write to standard output: %s\n",
			strerror(errno));
		return EXIT_FAILURE;
	}
	return status;
}

void complain(const char *subcommand, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "trafficgen %s: ", subcommand);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

int write_report(const char *subcommand, const char *path, json_t *report)
{
	int rc = 0;

	if (path)
		rc = report ? json_file_write(path, report) : -ENOMEM;
	json_decref(report);
	if (rc < 0)
		complain(subcommand, "cannot write the report %s: %s", path, strerror(-rc));
	return rc;
}

atomic_bool stop_requested;

static void request_stop(int signal_number)
{
	(void)signal_number;
	atomic_store_explicit(&stop_requested, true, memory_order_relaxed);
}

void catch_stop_signals(void)
{
	/* no SA_RESTART: a waiting system call has to return */
	struct sigaction action = {.sa_handler = request_stop, .sa_flags = (int)SA_RESETHAND};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static int named_interface_mtu(const char *name, unsigned *mtu)
{
	struct ifreq request = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int rc = 0;

	if (fd < 0)
		return -errno;
	memcpy(request.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
	if (ioctl(fd, SIOCGIFMTU, &request) < 0)
		rc = -errno;
	else
		*mtu = (unsigned)request.ifr_mtu;
	close(fd);
	return rc;
}

int interface_mtu(struct in_addr address, unsigned *mtu)
{
	struct ifaddrs *list;
	int rc = -EADDRNOTAVAIL;

	if (getifaddrs(&list) < 0)
		return -errno;
	for (const struct ifaddrs *entry = list; entry && rc == -EADDRNOTAVAIL;
	     entry = entry->ifa_next) {
		const struct sockaddr_in *found = (const void *)entry->ifa_addr;

		if (found && found->sin_family == AF_INET &&
		    found->sin_addr.s_addr == address.s_addr)
			rc = named_interface_mtu(entry->ifa_name, mtu);
	}
	freeifaddrs(list);
	return rc;
}

void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int samples_init(struct samples *samples, uint64_t every_ns)
{
	*samples = (struct samples){.every_ns = every_ns};
	samples->list = malloc(SAMPLES_MAX * sizeof(*samples->list));
	return samples->list ? 0 : -ENOMEM;
}

void samples_take(struct samples *samples, uint64_t at_ns, uint64_t total)
{
	/* after a stall the instants that were missed are gone: the grid goes on from now */
	samples->next_ns += samples->every_ns;
	if (samples->next_ns <= at_ns)
		samples->next_ns = at_ns + samples->every_ns;
	if (samples->count == SAMPLES_MAX - 1) /* the last place belongs to the last one */
		samples->truncated = true;
	else
		samples->list[samples->count++] = (struct sample){at_ns, total};
}

void samples_finish(struct samples *samples, uint64_t at_ns, uint64_t total)
{
	samples->list[samples->count++] = (struct sample){at_ns, total};
}

void samples_exit(struct samples *samples)
{
	free(samples->list);
}

void samples_report(const struct samples *samples, json_t *report)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < samples->count; i++)
		json_array_append_new(list, json_pack("[I, I]", (json_int_t)samples->list[i].at_ns,
						      (json_int_t)samples->list[i].total));
	json_object_set_new(report, "samples", list);
	if (samples->truncated)
		json_object_set_new(report, "samples_truncated", json_true());
}

bool progress_due(uint64_t at_ns)
{
	static uint64_t next_ns;

	if (at_ns < next_ns || !isatty(STDERR_FILENO))
		return false;
	next_ns = at_ns + NS_PER_SECOND;
	return true;
}
