"""No-op jobs there and back: the bare floor, the platform's dispatcher and worker, and other task queues."""
