//! Reads the console blocks of a page: what is typed, what goes in, what should come out.
//!
//! ```text
//! <!-- varies: pid -->
//! ```console
//! $ sudo pid-namespace sh      typed into the page's one shell; `> ` lines go on with it
//! # echo $$                    standard input of that command
//! 1                            what it should print, both streams together
//! ```
//! ```

use super::varies::{self, Varies};
use crate::dev::book::markdown::{self, Fence};

/// A console block.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// The line of its opening fence, from 1.
    pub line: usize,
    /// The lines between its fences.
    pub length: usize,
    /// The blanks before each of its lines.
    pub indent: String,
    /// False for `console,not-executed`.
    pub is_executed: bool,
    /// What may differ between two runs.
    pub varies: Vec<Varies>,
    /// Its commands.
    pub commands: Vec<Command>,
}

/// One thing that is typed.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// Its line in the page, from 1.
    pub line: usize,
    /// What is typed, without the prompts.
    pub typed: String,
    /// Its standard input: the lines behind `# `.
    pub input: String,
    /// The lines that it should print.
    pub expected: Vec<String>,
    /// The lines of the page that are typed, prompts and all.
    prompts: Vec<String>,
}

/// The console blocks of a page, or what is wrong with them: line and words.
///
/// # Errors
/// A block has output before its first command, no command, or a `varies` that is none.
pub fn read(text: &str) -> Result<Vec<Block>, Vec<(usize, String)>> {
    let page = markdown::read(text);
    let consoles = page.fences.iter().filter(|fence| fence.language() == "console");
    let (mut blocks, mut problems) = (Vec::new(), lost_declarations(&page));
    for fence in consoles {
        match block(fence) {
            Ok(block) => blocks.push(block),
            Err(problem) => problems.push((fence.line, problem)),
        }
    }
    if problems.is_empty() { Ok(blocks) } else { Err(problems) }
}

/// Declarations that stand elsewhere than directly before a block.
fn lost_declarations(page: &markdown::Page) -> Vec<(usize, String)> {
    let is_used = |line: usize| {
        page.fences.iter().any(|fence| fence.line == line + 1 && fence.language() == "console")
    };
    let lost =
        page.prose.iter().filter(|(line, text)| varies::is_declaration(text) && !is_used(*line));
    lost.map(|(line, _)| (*line, "this belongs on the line before a console block".to_owned()))
        .collect()
}

fn block(fence: &Fence) -> Result<Block, String> {
    let mut is_executed = true;
    for word in fence.words().skip(1) {
        match word {
            "not-executed" => is_executed = false,
            other => return Err(format!("`console,{other}`: only `not-executed` is known")),
        }
    }
    let varies = varies::read(fence.before)?;
    let mut commands: Vec<Command> = Vec::new();
    for (number, line) in (fence.line + 1..).zip(&fence.lines) {
        if let Some(typed) = line.strip_prefix("$ ") {
            commands.push(Command {
                line: number,
                typed: typed.to_owned(),
                input: String::new(),
                expected: Vec::new(),
                prompts: vec![(*line).to_owned()],
            });
            continue;
        }
        let Some(command) = commands.last_mut() else {
            return Err("a console block begins with a line that is typed: `$ …`".to_owned());
        };
        let is_first = command.expected.is_empty() && command.input.is_empty();
        if let Some(more) = line.strip_prefix("> ").filter(|_| is_first) {
            command.typed.push('\n');
            command.typed.push_str(more);
            command.prompts.push((*line).to_owned());
        } else if let Some(input) = line.strip_prefix("# ") {
            command.input.push_str(input);
            command.input.push('\n');
            command.prompts.push((*line).to_owned());
        } else {
            command.expected.push((*line).to_owned());
        }
    }
    if commands.is_empty() {
        return Err("a console block in which nothing is typed".to_owned());
    }
    let (length, indent) = (fence.lines.len(), fence.indent.to_owned());
    Ok(Block { line: fence.line, length, indent, is_executed, varies, commands })
}

/// The page with what the blocks have really printed in place of what it said. The output of a
/// command that had input comes after the last line of that.
pub fn rewrite(page: &str, blocks: &[(&Block, Vec<String>)]) -> String {
    let mut lines: Vec<String> = page.lines().map(str::to_owned).collect();
    for (block, outputs) in blocks.iter().rev() {
        let mut new = Vec::new();
        for (command, output) in block.commands.iter().zip(outputs) {
            new.extend(command.prompts.iter().cloned());
            new.extend(output.trim_end().lines().map(|line| line.trim_end().to_owned()));
        }
        let new = new.iter().map(|line| format!("{}{line}", block.indent).trim_end().to_owned());
        lines.splice(block.line..block.line + block.length, new);
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "text\n\n<!-- varies: pid -->\n```console\n$ echo \\\n> a\na\n\
                        $ sh\n# echo b\nb\n# exit\n$ true\n```\n\n```console,not-executed\n$ halt\n```\n";

    #[test]
    fn a_block_is_commands_with_input_and_output() {
        let blocks = read(PAGE).unwrap();
        let commands = &blocks[0].commands;
        assert_eq!(commands[0].typed, "echo \\\na");
        assert_eq!(commands[0].expected, ["a"]);
        assert_eq!((commands[1].line, commands[1].input.as_str()), (8, "echo b\nexit\n"));
        assert_eq!(commands[1].expected, ["b"]);
        assert_eq!(commands[2].expected, Vec::<String>::new());
        assert_eq!(blocks[0].varies.len(), 1);
        assert_eq!((blocks[0].is_executed, blocks[1].is_executed), (true, false));
    }

    #[test]
    fn blocks_in_folds_and_lists_count_too() {
        let page = "<details><summary>x</summary>\n\n- a\n\n  ```console\n  $ id\n  uid=0\n  ```\n\n</details>\n";
        assert_eq!(read(page).unwrap()[0].commands[0].expected, ["uid=0"]);
    }

    #[test]
    fn a_block_that_can_not_be_meant_is_refused() {
        for (page, words) in [
            ("```console\nhello\n```\n", "begins with a line that is typed"),
            ("```console\n```\n", "nothing is typed"),
            ("```console,ignore\n$ id\n```\n", "only `not-executed`"),
            ("<!-- varies: weather -->\n```console\n$ id\n```\n", "weather"),
            ("<!-- varies: pid -->\n\n```console\n$ id\n```\n", "on the line before"),
        ] {
            let problems = read(page).unwrap_err();
            assert!(problems[0].1.contains(words), "{problems:?}");
        }
    }

    #[test]
    fn an_update_changes_the_output_and_nothing_else() {
        let blocks = read(PAGE).unwrap();
        let new =
            rewrite(PAGE, &[(&blocks[0], vec!["x\n".into(), "c\nd\n".into(), String::new()])]);
        assert_eq!(
            new,
            PAGE.replace("a\na\n$ sh", "a\nx\n$ sh").replace("b\nb\n# exit\n", "b\n# exit\nc\nd\n")
        );
    }
}
