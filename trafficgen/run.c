// SPDX-License-Identifier: MIT
/* run: see run.h. */
#include "run.h"
#include "common/errno_reason.h"
#include "common/json_file.h"
#include "common/printable.h"
#include "common/pump.h"
#include "common/version.h"

#include <arpa/inet.h>
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

enum { STDERR_PATIENCE_MS = 500 };

void complain(const struct run *run, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	printable_make(text);
	fprintf(stderr, "trafficgen %s: %s\n", run->job->name, text); /* one write(2) */
}

atomic_bool stop_requested;

static void request_stop(int signal_number)
{
	(void)signal_number;
	atomic_store_explicit(&stop_requested, true, memory_order_relaxed);
}

static void catch_stop_signals(void)
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

/* 0 and the MTU in bytes of the interface with that address; -EADDRNOTAVAIL when there is none. */
static int interface_mtu(struct in_addr address, unsigned *mtu)
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

int set_option(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* ---- while it works -------------------------------------------------------------------------- */

void run_start(struct run *run, uint64_t at_ns)
{
	run->start_ns = at_ns;
	run->samples.next_ns = at_ns;
}

bool run_observe(struct run *run, uint64_t at_ns, uint64_t total)
{
	if (at_ns < run->samples.next_ns)
		return false;
	samples_take(&run->samples, at_ns, total);
	return true;
}

bool run_progress_due(struct run *run, uint64_t at_ns)
{
	if (!run->progress_wanted || at_ns < run->next_progress_ns)
		return false;
	run->next_progress_ns = at_ns + NS_PER_SECOND;
	return true;
}

void run_progress(struct run *run, const char *format, ...)
{
	char text[128];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fprintf(stderr, "\r%s\033[K", text);
	run->progress_shown = true;
}

void run_progress_end(struct run *run)
{
	if (run->progress_shown)
		fputs("\r\033[K", stderr);
}

void run_finish(struct run *run, uint64_t end_ns, uint64_t total)
{
	run->end_ns = end_ns;
	samples_finish(&run->samples, end_ns, total);
}

/* ---- the report ------------------------------------------------------------------------------ */

static json_t *report_to_json(const struct run *run, json_t *figures, json_t *flows)
{
	/* clang-format off */
	json_t *report = json_pack("{s:i, s:s, s:s, s:s, s:o, s:I, s:I}",
		"schema", 1,
		"program", "trafficgen",
		"mode", run->job->name,
		"version", MCRELAY_VERSION,
		"settings", options_to_json(run->job->program->options, run->settings),
		"start_ns", (json_int_t)run->start_ns,
		"end_ns", (json_int_t)run->end_ns);
	/* clang-format on */

	if (report && json_object_update(report, figures) == 0 &&
	    json_object_set_new(report, "interrupted",
				json_boolean(atomic_load(&stop_requested))) == 0 &&
	    json_object_set(report, "flows", flows) == 0) {
		samples_report(&run->samples, report);
		return report;
	}
	json_decref(report);
	return NULL;
}

int run_report(const struct run *run, json_t *figures, json_t *flows)
{
	const char *path = run->settings->json;
	json_t *report = path ? report_to_json(run, figures, flows) : NULL;
	int rc = 0;

	if (path)
		rc = report ? json_file_write(path, report) : -ENOMEM;
	json_decref(report);
	json_decref(figures);
	json_decref(flows);
	if (rc < 0)
		complain(run, "cannot write the report %s: %s", path, json_file_reason(rc));
	return rc;
}

/* ---- from the command line to the exit status ------------------------------------------------ */

/* 0, or negative errno after saying why. */
static int run_open(struct run *run)
{
	const struct settings *settings = run->settings;
	char address[INET_ADDRSTRLEN];
	unsigned mtu = 0;
	int rc;

	rc = settings->json ? json_file_check(settings->json) : 0;
	if (rc < 0) {
		complain(run, "cannot write the report %s: %s", settings->json,
			 json_file_reason(rc));
		return rc;
	}
	rc = interface_mtu(settings->interface, &mtu);
	if (rc < 0) {
		inet_ntop(AF_INET, &settings->interface, address, sizeof(address));
		complain(run, "cannot %s %s: %s%s", run->job->where, address,
			 rc == -EADDRNOTAVAIL ? "no interface has this address; see 'ip -4 addr'"
					      : strerror(-rc),
			 reason_of_shortage(rc));
		return rc;
	}
	rc = samples_init(&run->samples, settings->sample_ms * NS_PER_MS);
	if (rc < 0) {
		complain(run, "out of memory for %u samples", SAMPLES_MAX);
		return rc;
	}
	return run->job->open(run, mtu);
}

/* Complaints and progress keep no packet waiting: without, they do. */
static void start_pump(struct pump *pump)
{
	if (pump_open(pump) == 0 && pump_start(pump, NULL, NULL) < 0)
		pump_finish(pump, 0);
}

int run_main(struct run *run, int argc, char **argv)
{
	struct pump pump;
	int status = EXIT_FAILURE;
	int rc = options_parse(run->job->program, argc, argv, run->settings);

	if (rc != 0)
		return rc > 0 ? EXIT_SUCCESS : EXIT_USAGE;
	if (run->job->check(run) < 0)
		return EXIT_USAGE;
	catch_stop_signals();
	run->progress_wanted = !run->settings->quiet && isatty(STDERR_FILENO);
	start_pump(&pump);
	if (run_open(run) == 0)
		status = run->job->work(run);
	run->job->close(run);
	samples_exit(&run->samples);
	pump_finish(&pump, STDERR_PATIENCE_MS);
	return status;
}
