/* A namelist for `crash --minimal`, which looks for these symbols and types and then reads
 * memory by physical address: a stand-in for a vmlinux with debugging information. */

struct list_head {
    struct list_head *next, *prev;
};

struct task_struct {
    int pid;
    struct list_head tasks;
} init_task;

struct mm_struct {
    void *mmap;
} init_mm;

char linux_banner[] = "Linux version 6.1.0 (stand-in)";

void _stext(void) {}
void start_kernel(void) {}
void _etext(void) {}

int _start(void)
{
    return init_mm.mmap != 0 && linux_banner[0] != 0;
}
