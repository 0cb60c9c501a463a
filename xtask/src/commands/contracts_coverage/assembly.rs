//! Where inline assembly stands in a Solidity file.

use std::collections::BTreeSet;

/// Numbers of the lines that `assembly` blocks touch, the first line of the file being 1.
///
/// Braces in comments count like others: nobody writes a lone one there.
pub(crate) fn lines(source: &str) -> BTreeSet<u64> {
    let mut found = BTreeSet::new();
    let mut depth = 0_u64;
    // After the keyword and before its brace.
    let mut announced = false;
    for (number, line) in (1..).zip(source.lines()) {
        let code = line.split("//").next().unwrap_or_default();
        announced |= depth == 0 && code.trim_start().starts_with("assembly");
        if announced || depth != 0 {
            found.insert(number);
        }
        if !announced && depth == 0 {
            continue;
        }
        for character in code.chars() {
            match character {
                '{' => (depth, announced) = (depth + 1, false),
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::lines;

    const SOURCE: &str = "\
function f() {
    uint256 x;
    assembly (\"memory-safe\") {
        // a comment with assembly in it }
        if gt(x, 1) { x := 1 }
    }
    x = 2;
    assembly
    { x := 3 }
    // assembly is over
}
";

    #[test]
    fn blocks_are_found_to_their_last_brace() {
        assert_eq!(lines(SOURCE).into_iter().collect::<Vec<_>>(), [3, 4, 5, 6, 8, 9]);
    }
}
