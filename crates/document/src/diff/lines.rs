//! Two texts by their lines.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::PropertyChange;
use super::values::Room;

/// The longest run of places that only go up, as indexes into `places`: what need not have moved.
pub(super) fn longest_ascent(places: &[usize]) -> Vec<usize> {
    // `ends[length]` is the run of that length whose last place is the lowest; `before` leads back through it.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = vec![None; places.len()];
    for (index, place) in places.iter().enumerate() {
        let length = ends.partition_point(|end| places[*end] < *place);
        before[index] = length.checked_sub(1).map(|shorter| ends[shorter]);
        if length == ends.len() { ends.push(index) } else { ends[length] = index }
    }
    let mut run = Vec::with_capacity(ends.len());
    let mut next = ends.last().copied();
    while let Some(index) = next {
        run.push(index);
        next = before[index];
    }
    run.reverse();
    run
}

/// Names each group of lines that changed.
///
/// Lines that are there once in either text and in the same order hold the texts together; what lies between two of
/// them is one group. That is one pass, however long the texts are and however much they differ.
pub(super) fn changed_lines(name: &str, before: &str, after: &str, room: &mut Room, found: &mut Vec<PropertyChange>) {
    if before == after {
        return;
    }
    let (before, after): (Vec<&str>, Vec<&str>) = (before.split('\n').collect(), after.split('\n').collect());
    let head = before.iter().zip(&after).take_while(|(one, other)| one == other).count();
    let tail = before[head..].iter().rev().zip(after[head..].iter().rev()).take_while(|(one, other)| one == other).count();
    let (before_end, after_end) = (before.len() - tail, after.len() - tail);
    let (mut from, mut to) = (head, head);
    for (one, other) in anchors(&before[..before_end], &after[..after_end], head).into_iter().chain([(before_end, after_end)]) {
        let mut group = (&before[from..one], &after[to..other]);
        // What the group begins and ends with alike is no change, although it is there more than once.
        let alike = group.0.iter().zip(group.1).take_while(|(one, other)| one == other).count();
        group = (&group.0[alike..], &group.1[alike..]);
        let alike_at_end = group.0.iter().rev().zip(group.1.iter().rev()).take_while(|(one, other)| one == other).count();
        group = (&group.0[..group.0.len() - alike_at_end], &group.1[..group.1.len() - alike_at_end]);
        if !group.0.is_empty() || !group.1.is_empty() {
            let text = |lines: &[&str]| (!lines.is_empty()).then(|| Value::from(lines.join("\n")));
            let (was, is) = (text(group.0), text(group.1));
            room.note(found, &place(name, from + alike, group.0.len(), to + alike, group.1.len()), was.as_ref(), is.as_ref());
        }
        (from, to) = (one + 1, other + 1);
    }
}

/// `html lines 12-14`, as they are numbered after the change where there are any.
fn place(name: &str, before_at: usize, before_lines: usize, after_at: usize, after_lines: usize) -> String {
    let (at, lines) = if after_lines > 0 { (after_at, after_lines) } else { (before_at, before_lines) };
    let mut place = format!("{name} line{} {}", if lines == 1 { "" } else { "s" }, at + 1);
    if lines > 1 {
        // Writing to a String does not fail.
        let _ = write!(place, "-{}", at + lines);
    }
    place
}

/// Pairs of equal lines that hold the texts together, in order.
fn anchors(before: &[&str], after: &[&str], from: usize) -> Vec<(usize, usize)> {
    let once = |lines: &[&str]| {
        let mut places: HashMap<Box<str>, Option<usize>> = HashMap::new();
        for (index, line) in lines.iter().enumerate().skip(from) {
            places.entry((*line).into()).and_modify(|place| *place = None).or_insert(Some(index));
        }
        places
    };
    let in_before = once(before);
    let in_after = once(after);
    let pairs: Vec<(usize, usize)> = after
        .iter()
        .enumerate()
        .skip(from)
        .filter(|(index, line)| in_after.get(**line).copied().flatten() == Some(*index))
        .filter_map(|(index, line)| Some((in_before.get(*line).copied().flatten()?, index)))
        .collect();
    let places: Vec<usize> = pairs.iter().map(|(place, _)| *place).collect();
    longest_ascent(&places).into_iter().map(|index| pairs[index]).collect()
}
