"""Pages and pictures that people read. They show scores and never compute one."""
