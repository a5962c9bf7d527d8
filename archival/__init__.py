"""What leaves the hot log, and when: the schedules that keep the log's partitions ready, and what follows from them."""
