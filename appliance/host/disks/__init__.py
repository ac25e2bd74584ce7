"""The machine's disks: btrfs, mounts, kept room, open files, and what root reports of them."""
