/* What libkdumpfile has of each page of a dump, which may have several files: physical addresses
 * (hex) on standard input; for each on standard output 'S' and the 4096 bytes of the page, or 'N'
 * when there is no data. */

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
	static unsigned char page[4096];
	int fds[64];
	int count = argc - 1;
	uint64_t paddr;
	kdump_ctx_t *ctx;

	if (count < 1 || count > 64)
		return 2;
	for (int i = 0; i < count; ++i) {
		fds[i] = open(argv[i + 1], O_RDONLY);
		if (fds[i] < 0) {
			perror(argv[i + 1]);
			return 1;
		}
	}
	ctx = kdump_new();
	if (!ctx)
		return 1;
	if (kdump_open_fdset(ctx, count, fds) != KDUMP_OK)
		return fail(ctx, "kdump_open_fdset");
	while (scanf("%" SCNx64, &paddr) == 1) {
		size_t len = sizeof(page);
		/* Machine physical addresses need no translation to be set up. */
		kdump_status status = kdump_read(ctx, KDUMP_MACHPHYSADDR, paddr, page, &len);

		if (status == KDUMP_ERR_NODATA) {
			kdump_clear_err(ctx);
			putchar('N');
			continue;
		}
		if (status != KDUMP_OK)
			return fail(ctx, "kdump_read");
		putchar('S');
		if (fwrite(page, 1, sizeof(page), stdout) != sizeof(page)) {
			perror("stdout");
			return 1;
		}
	}
	kdump_free(ctx);
	return fflush(stdout) ? 1 : 0;
}
