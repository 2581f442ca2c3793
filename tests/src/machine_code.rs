//! Programs in machine code, written by the tests themselves: system calls with arguments that no library would pass
//! on. For x86-64; elsewhere there are none. Each is harmless where nothing refuses the call: its arguments make no
//! sense to the kernel.

use std::path::PathBuf;

use crate::Fixture;

/// Where the only segment lies.
const BASE: u32 = 0x40_0000;
/// Sizes of the headers of the file and of a segment (elf(5)).
const HEADERS: u32 = 64 + 56;
/// System calls by their numbers.
const EXIT: u32 = 60;
/// `EPERM` as the kernel returns it.
const REFUSED: i8 = -1;

/// A program that makes each of these calls, given as number and first two arguments, all others being -1. It ends
/// with 0 if all were refused with EPERM, else with the place of the first that was not, counted from 1. `None`: this
/// machine has other code.
pub fn calls(fixture: &Fixture, name: &str, calls: &[(u32, i32, i32)]) -> Option<PathBuf> {
    let mut code = Vec::new();
    for (place, (number, first, second)) in (1_u8..).zip(calls) {
        load(&mut code, 0xB8, *number);
        load(&mut code, 0xBF, first.cast_unsigned());
        load(&mut code, 0xBE, second.cast_unsigned());
        load(&mut code, 0xBA, u32::MAX);
        // mov r10, rdx; mov r8, rdx
        code.extend([0x49, 0x89, 0xD2, 0x49, 0x89, 0xD0]);
        code.extend(SYSCALL);
        let mut leave = Vec::new();
        exit(&mut leave, u32::from(place));
        // cmp eax, EPERM; je over the exit
        code.extend([
            0x83,
            0xF8,
            REFUSED.cast_unsigned(),
            0x74,
            u8::try_from(leave.len()).expect("it is short"),
        ]);
        code.extend(leave);
    }
    exit(&mut code, 0);
    write(fixture, name, &code)
}

/// A program that asks for its pid by the rules of 32-bit programs, and ends with 0.
pub fn old_call(fixture: &Fixture, name: &str) -> Option<PathBuf> {
    let mut code = Vec::new();
    // getpid is 20 there; int 0x80
    load(&mut code, 0xB8, 20);
    code.extend([0xCD, 0x80]);
    exit(&mut code, 0);
    write(fixture, name, &code)
}

const SYSCALL: [u8; 2] = [0x0F, 0x05];

/// `mov` of a number into the register that the operation names.
fn load(code: &mut Vec<u8>, operation: u8, number: u32) {
    code.push(operation);
    code.extend(number.to_le_bytes());
}

fn exit(code: &mut Vec<u8>, status: u32) {
    load(code, 0xBF, status);
    load(code, 0xB8, EXIT);
    code.extend(SYSCALL);
}

/// An executable file of one segment.
fn write(fixture: &Fixture, name: &str, code: &[u8]) -> Option<PathBuf> {
    if cfg!(not(target_arch = "x86_64")) {
        return None;
    }
    let size = u64::from(HEADERS) + u64::try_from(code.len()).expect("it is short");
    let mut file = vec![0x7F, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    // Executable, x86-64, version 1.
    file.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    for place in [u64::from(BASE + HEADERS), 64, 0] {
        file.extend(place.to_le_bytes());
    }
    // Flags; sizes of headers, one of a segment, none of sections.
    file.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    // To be loaded, readable and executable.
    file.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    for number in [0, u64::from(BASE), u64::from(BASE), size, size, 0x1000] {
        file.extend(number.to_le_bytes());
    }
    file.extend(code);
    Some(fixture.write_program(name, &file))
}
