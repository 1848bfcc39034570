//! Plans the segments of a kdump capture kernel, checks the plan and loads it.
