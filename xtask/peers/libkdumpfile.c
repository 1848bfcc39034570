/* Reads pages through libkdumpfile: physical addresses (hex) on standard input, their 4096 bytes
 * each on standard output. */

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include <libkdumpfile/kdumpfile.h>

static int fail(kdump_ctx_t *ctx, const char *what)
{
	fprintf(stderr, "%s: %s\n", what, kdump_get_err(ctx));
	return 1;
}

int main(int argc, char **argv)
{
	unsigned char page[4096];
	uint64_t paddr;
	kdump_ctx_t *ctx;
	int fd;

	if (argc != 2)
		return 2;
	fd = open(argv[1], O_RDONLY);
	if (fd < 0) {
		perror(argv[1]);
		return 1;
	}
	ctx = kdump_new();
	if (!ctx)
		return 1;
	if (kdump_open_fd(ctx, fd) != KDUMP_OK)
		return fail(ctx, "kdump_open_fd");
	/* KDUMP_KPHYSADDR fails until the translation knows the operating system. */
	if (kdump_set_string_attr(ctx, KDUMP_ATTR_OSTYPE, "linux") != KDUMP_OK)
		return fail(ctx, "addrxlat.ostype");
	while (scanf("%" SCNx64, &paddr) == 1) {
		size_t len = sizeof(page);

		if (kdump_read(ctx, KDUMP_KPHYSADDR, paddr, page, &len) != KDUMP_OK)
			return fail(ctx, "kdump_read");
		if (fwrite(page, 1, sizeof(page), stdout) != sizeof(page)) {
			perror("stdout");
			return 1;
		}
	}
	kdump_free(ctx);
	close(fd);
	return 0;
}
