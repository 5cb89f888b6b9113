// SPDX-License-Identifier: MIT
/* capabilities: see capabilities.h. */
#include "supervisor/capabilities.h"
#include "common/json_file.h"
#include "common/log.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static bool have(capng_type_t set, unsigned capability)
{
	return capng_have_capability(set, capability) > 0;
}

int capabilities_check(const struct config *config)
{
	const char *missing = NULL;

	capng_get_caps_process();
	if (!have(CAPNG_EFFECTIVE, CAP_NET_RAW))
		missing = "CAP_NET_RAW, to receive packets";
	else if (config->exclusive && !have(CAPNG_EFFECTIVE, CAP_NET_ADMIN))
		missing = "CAP_NET_ADMIN, for --exclusive";
	else if (config->gro && !have(CAPNG_EFFECTIVE, CAP_NET_ADMIN))
		missing = "CAP_NET_ADMIN, for --gro";
	else if (config->exclusive && !have(CAPNG_EFFECTIVE, CAP_BPF))
		missing = "CAP_BPF, for --exclusive";
	if (!missing)
		return 0;
	log_error("Supervisor",
		  "needs %s; run it as root, or as a service with AmbientCapabilities, or after "
		  "'setcap cap_net_raw,cap_net_admin%s+ep' on its program file",
		  missing, config->exclusive ? ",cap_bpf" : "");
	return -EPERM;
}

/* Of what is permitted; all else is cleared, inheritable and ambient sets included. */
static void select_needed(const struct config *config)
{
	const bool root = geteuid() == 0, becomes_user = root && config->uid != 0;
	const struct {
		unsigned capability;
		bool needed;
	} capabilities[] = {
		{CAP_NET_RAW, true},
		{CAP_NET_ADMIN, true},
		{CAP_NET_BIND_SERVICE, true},
		{CAP_SETGID, root},
		{CAP_IPC_LOCK, root && settings_need_uring(&config->worker)},
		{CAP_SETUID, becomes_user},
		{CAP_KILL, becomes_user},
		{CAP_BPF, config->exclusive},
	};
	enum { COUNT = sizeof(capabilities) / sizeof(capabilities[0]) };
	bool kept[COUNT];

	for (size_t i = 0; i < COUNT; i++)
		kept[i] =
			capabilities[i].needed && have(CAPNG_PERMITTED, capabilities[i].capability);
	capng_clear(CAPNG_SELECT_ALL);
	for (size_t i = 0; i < COUNT; i++)
		if (kept[i])
			capng_update(CAPNG_ADD,
				     CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET,
				     capabilities[i].capability);
}

/* By the capabilities in effect: access(2), which eaccess(3) is to root, goes by those that are
 * permitted. */
static bool may(const char *path, int mode)
{
	return faccessat(AT_FDCWD, path, mode, AT_EACCESS) == 0;
}

/* Can the files still be used as they will be: read again on SIGHUP, replaced at each report? */
static bool files_accessible(const struct config *config)
{
	return (!config->rule_file || may(config->rule_file, R_OK)) &&
	       (!config->stats_file || json_file_check(config->stats_file) == 0) &&
	       (!config->stats_series || json_file_check_append(config->stats_series) == 0);
}

int capabilities_limit(const struct config *config)
{
	capng_select_t sets = CAPNG_SELECT_CAPS;
	bool override;
	int rc;

	capng_get_caps_process();
	override = have(CAPNG_EFFECTIVE, CAP_DAC_OVERRIDE);
	if (override) {
		/* a trial without, which can be taken back as long as it is permitted */
		capng_update(CAPNG_DROP, CAPNG_EFFECTIVE, CAP_DAC_OVERRIDE);
		capng_update(CAPNG_DROP, CAPNG_EFFECTIVE, CAP_DAC_READ_SEARCH);
		capng_apply(CAPNG_SELECT_CAPS);
		override = !files_accessible(config);
	}
	if (have(CAPNG_EFFECTIVE, CAP_SETPCAP)) /* without it, no_new_privs has to do */
		sets = CAPNG_SELECT_BOTH;
	select_needed(config);
	if (override)
		capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_DAC_OVERRIDE);
	rc = capng_apply(sets);
	if (rc < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		rc = errno ? -errno : -EPERM;
		log_error("Supervisor", "cannot give up capabilities: %s", strerror(-rc));
		return rc;
	}
	if (override)
		log_info("Supervisor", "keeps CAP_DAC_OVERRIDE: files of the configuration belong "
				       "to another user");
	return 0;
}
