//! Rows put together by what they have in common, and what their columns come to.

use std::collections::HashMap;

use expressions::Scope;
use serde_json::{Value, json};

use super::super::total::Total;
use super::Member;
use super::column::Column;
use crate::error::DocumentError;
use crate::fields::{Fields, Formula, Text};
use crate::tables::RowKind;
use crate::writer::{Writer, steps_of};

/// How rows are grouped.
#[derive(Debug)]
pub(super) struct Grouping {
    pub(super) key: Formula,
    pub(super) header: Text,
    pub(super) has_subtotals: bool,
    pub(super) subtotal_label: Text,
}

/// One group: the places of its rows among all, and what texts about it know.
pub(super) struct Group {
    pub(super) members: Vec<usize>,
    /// `{key, count}`
    pub(super) facts: Value,
}

impl Grouping {
    pub(super) fn read(fields: &mut Fields<'_, '_>) -> Option<Self> {
        let key = fields.formula(&["groupBy"]);
        let header = fields.text_or("groupHeader", "{{key}}");
        let has_subtotals = fields.flag("subtotals").unwrap_or(true);
        let subtotal_label = fields.text_or("subtotalLabel", "{{key}}");
        for name in ["groupHeader", "subtotals", "subtotalLabel"] {
            if fields.are_absent(&["groupBy"]) && !fields.are_absent(&[name]) {
                fields.refuse(name, &format!("\"{name}\" is about groups; say in \"groupBy\" what they have in common"));
            }
        }
        Some(Self { key: key?, header: header?, has_subtotals, subtotal_label: subtotal_label? })
    }

    /// The groups in the order in which their first rows come.
    pub(super) fn groups(&self, items: &[Member<'_>], writer: &mut Writer<'_>, scope: &Scope<'_>) -> Result<Vec<Group>, DocumentError> {
        let mut groups: Vec<(Value, Vec<usize>)> = Vec::new();
        let mut known: HashMap<String, usize> = HashMap::new();
        for (at, (key, item)) in items.iter().enumerate() {
            let inner = scope.item(item, at, items.len(), *key, None);
            let Some(found) = writer.evaluate(&self.key, &inner)? else { continue };
            let value = found.as_value().map_or(Value::Null, std::borrow::Cow::into_owned);
            let text = value.to_string();
            writer.charge(steps_of(text.len()))?;
            let place = *known.entry(text).or_insert(groups.len());
            match groups.get_mut(place) {
                Some((_, members)) => members.push(at),
                None => groups.push((value, vec![at])),
            }
        }
        Ok(groups.into_iter().map(|(key, members)| Group { facts: json!({"key": key, "count": members.len()}), members }).collect())
    }
}

/// What counts for the totals, by column.
#[derive(Debug, Default)]
pub(super) struct Sums(Vec<Vec<Value>>);

impl Sums {
    pub(super) fn of(columns: &[Column]) -> Self {
        Self(columns.iter().map(|_| Vec::new()).collect())
    }

    /// Takes what counts of one item; what is missing does not.
    pub(super) fn take(&mut self, at: usize, total: &Total, writer: &mut Writer<'_>, scope: &Scope<'_>) -> Result<(), DocumentError> {
        let value = total.value(writer, scope)?;
        if let (Some(values), Some(value)) = (self.0.get_mut(at), value) {
            values.push(value);
        }
        Ok(())
    }

    /// What was taken of a column after so many.
    pub(super) fn since(&self, at: usize, count: usize) -> &[Value] {
        self.0.get(at).and_then(|values| values.get(count..)).unwrap_or_default()
    }

    pub(super) fn add(&mut self, other: Self) {
        for (own, values) in self.0.iter_mut().zip(other.0) {
            own.extend(values);
        }
    }

    /// Writes the row of totals. The label stands in front of the first of them, where `labels` is its data.
    pub(super) fn write<'w>(
        &self,
        class: &str,
        columns: &'w [Column],
        label: &'w Text,
        labels: &Scope<'_>,
        writer: &mut Writer<'w>,
        scope: &Scope<'_>,
    ) -> Result<(), DocumentError> {
        let speaks = |column: &Column| if class == "total" { column.has_total() } else { column.has_sum() };
        let first = columns.iter().position(speaks).unwrap_or(columns.len());
        writer.push(&format!("<tr class=\"{class}\">"));
        writer.begin_row(if class == "total" { RowKind::Total } else { RowKind::Subtotal })?;
        if first > 0 {
            let opening = format!("<th colspan=\"{first}\">");
            writer.cell(first, |writer| writer.text_in(&opening, Some(label), "</th>", labels))?;
        }
        for (column, values) in columns.iter().zip(&self.0).skip(first) {
            writer.push("<td");
            writer.push(column.opening);
            writer.cell(1, |writer| match (&column.total, &column.footer) {
                (Some(total), _) => total.write(values.clone(), writer, scope),
                (None, Some(footer)) if class == "total" => writer.text(footer, scope),
                _ => Ok(()),
            })?;
            writer.push("</td>");
        }
        writer.push("</tr>");
        writer.check_size()
    }
}
