// SPDX-License-Identifier: MIT
/* notify: see notify.h. */
#include "supervisor/notify.h"
#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int send_to(const char *path, const char *text)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = strlen(path);
	int fd, rc = 0;

	if ((path[0] != '/' && path[0] != '@') || length >= sizeof(address.sun_path))
		return -EINVAL;
	memcpy(address.sun_path, path, length);
	if (path[0] == '@') /* an abstract name: it begins with a 0 and is as long as it is */
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* a manager that does not read is not waited for */
	if (sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT,
		   (const struct sockaddr *)&address,
		   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

void notify(const char *format, ...)
{
	static struct log_limit complaints;
	const char *path = getenv("NOTIFY_SOCKET");
	char text[256];
	va_list args;
	int rc;

	if (!path || !*path)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	rc = send_to(path, text);
	if (rc < 0)
		log_limited(&complaints, LEVEL_WARNING, "Supervisor",
			    "cannot tell the service manager at %s: %s", path,
			    rc == -EAGAIN ? "it does not take what it is told" : strerror(-rc));
}
