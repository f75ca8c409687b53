//! `indexOf` and `lastIndexOf`, of texts and lists. The language's own compare a text with the other one anew at each of
//! its places, which takes minutes for two long ones.

use cel::{ExecutionError, Value};

use super::functions::{Answer, Arguments, answer, argument, list, text};

pub(super) fn index_of<'b, 'v>(args: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let in_text = |text: &str, wanted: &str, from: usize| text[from..].find(wanted).map(|at| from + at);
    look("indexOf", &args, in_text, |items, item| items.iter().position(|one| one == item))
}

pub(super) fn last_index_of<'b, 'v>(args: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let in_text = |text: &str, wanted: &str, from: usize| {
        // The last that begins at `from` or before.
        let end = text.floor_char_boundary(from.saturating_add(wanted.len()));
        text[..end].rfind(wanted)
    };
    look("lastIndexOf", &args, in_text, |items, item| items.iter().rposition(|one| one == item))
}

/// Places in texts are counted in characters; -1 is for nowhere.
fn look<'b, 'v>(
    function: &str,
    args: &Arguments<'b, 'v>,
    in_text: impl Fn(&str, &str, usize) -> Option<usize>,
    in_list: impl Fn(&[Value], &Value) -> Option<usize>,
) -> Answer<'b, 'v> {
    if let Value::List(_) = argument(args, 0)? {
        let found = in_list(&list(args)?, &argument(args, 1)?);
        return answer(Value::Int(place(found)));
    }
    let (this, wanted) = (text(args, 0)?, text(args, 1)?);
    let from = match args.get(2) {
        None if function == "lastIndexOf" => this.len(),
        None => 0,
        Some(_) => match begin(function, &this, &wanted, &argument(args, 2)?)? {
            Begin::At(byte) => byte,
            Begin::Found(index) => return answer(Value::Int(index)),
        },
    };
    answer(Value::Int(place(in_text(&this, &wanted, from).map(|byte| this[..byte].chars().count()))))
}

fn place(found: Option<usize>) -> i64 {
    found.and_then(|index| i64::try_from(index).ok()).unwrap_or(-1)
}

/// Where to begin to look.
enum Begin {
    /// At this byte.
    At(usize),
    /// An empty text is where one looks for it.
    Found(i64),
}

fn begin(function: &str, this: &str, wanted: &str, from: &Value) -> Result<Begin, ExecutionError> {
    let Value::Int(from) = *from else {
        return Err(ExecutionError::function_error(function, "the place to begin at must be an int"));
    };
    let out_of_range = || ExecutionError::function_error(function, format!("index out of range: {from}"));
    let nth = usize::try_from(from).map_err(|_| out_of_range())?;
    if wanted.is_empty() {
        return Ok(Begin::Found(from.min(place(Some(this.chars().count())))));
    }
    this.char_indices().nth(nth).map(|(byte, _)| Begin::At(byte)).ok_or_else(out_of_range)
}
