//! The `towpath` program: everything is in the library; this is the door.

use std::process::ExitCode;

fn main() -> ExitCode {
    towpath::main()
}
