//! The `towpath` program: everything is in the library; this is the door.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// The allocator of musl, which the static binary would have, is slow with several threads, and that of glibc keeps what rounds
/// give back.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    towpath::main()
}
