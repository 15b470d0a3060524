"""What people type: `fairdrop` and its subcommands. They parse, call a service, print; nothing is decided here."""
