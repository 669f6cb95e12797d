//! Makes mutants of a query, each wrong in one place. Whether anybody notices does not belong here.

use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Select, Statement, TableFactor, Value, VisitMut as _, VisitorMut,
};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// A report that is wrong in one place.
pub(super) struct Mutant {
    pub(super) report: String,
    /// The report, and what was changed; one of a kind.
    pub(super) title: String,
    /// The head of the report and its query.
    pub(super) sql: String,
}

/// All that can be made of a report.
pub(super) fn mutants(report: &str, text: &str) -> Vec<Mutant> {
    let is_head = |line: &&str| line.starts_with("--") || line.trim().is_empty();
    let head: Vec<&str> = text.lines().take_while(is_head).collect();
    let mut mutants = Vec::new();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for place in 0.. {
        let mut statement = parsed(text);
        let mut change = Change::at(place);
        let _ = statement.visit(&mut change);
        let Some(what) = change.made else {
            break;
        };
        let n_seen = seen.entry(what.clone()).or_default();
        *n_seen += 1;
        let place = if *n_seen > 1 {
            format!(" #{n_seen}")
        } else {
            String::new()
        };
        mutants.push(Mutant {
            report: report.to_owned(),
            title: format!("{report}: {what}{place}"),
            sql: format!("{}\n{statement}\n", head.join("\n")),
        });
    }
    mutants
}

fn parsed(text: &str) -> Statement {
    let Parsed::Statement(statement) = crate::query::parse(text).unwrap() else {
        panic!("{text}");
    };
    *statement
}

/// Goes through a query and changes the place with this number.
struct Change {
    n_before: usize,
    made: Option<String>,
}

impl Change {
    fn at(place: usize) -> Self {
        Self {
            n_before: place,
            made: None,
        }
    }

    /// Whether this is the place.
    fn is_here(&mut self) -> bool {
        let is_here = self.made.is_none() && self.n_before == 0;
        self.n_before = self.n_before.saturating_sub(1);
        is_here
    }

    /// Drops one of the conditions that are joined by `and`.
    fn drop_condition(&mut self, condition: &mut Expr) {
        if let Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } = condition
        {
            self.drop_condition(left);
            self.drop_condition(right);
        } else if let Expr::Nested(inner) = condition
            && matches!(
                &**inner,
                Expr::BinaryOp {
                    op: BinaryOperator::And,
                    ..
                }
            )
        {
            self.drop_condition(inner);
        } else if self.is_here() {
            self.made = Some(format!("without `{condition}`"));
            *condition = Expr::Value(Value::Boolean(true).into());
        }
    }
}

fn turned(operator: &BinaryOperator) -> Option<BinaryOperator> {
    match operator {
        BinaryOperator::Lt => Some(BinaryOperator::LtEq),
        BinaryOperator::LtEq => Some(BinaryOperator::Lt),
        BinaryOperator::Gt => Some(BinaryOperator::GtEq),
        BinaryOperator::GtEq => Some(BinaryOperator::Gt),
        _ => None,
    }
}

impl VisitorMut for Change {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let conditions = [&mut select.selection, &mut select.having];
        for condition in conditions.into_iter().flatten() {
            self.drop_condition(condition);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && let Some(filter) = &mut function.filter
        {
            self.drop_condition(filter);
        }
        if let Expr::BinaryOp { left, op, right } = expr
            && let Some(other) = turned(op)
            && self.is_here()
        {
            self.made = Some(format!("`{left} {other} {right}` for `{op}`"));
            *op = other;
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<()> {
        let TableFactor::Table {
            name,
            alias,
            args: None,
            ..
        } = table
        else {
            return ControlFlow::Continue(());
        };
        if !self.is_here() {
            return ControlFlow::Continue(());
        }
        self.made = Some(format!("`{name}` doubled"));
        let shown = alias
            .as_ref()
            .map_or_else(|| name.to_string(), |alias| alias.name.to_string());
        let doubled = format!(
            "select * from (select * from {name} union all select * from {name}) as {shown}"
        );
        if let Statement::Query(query) = parsed(&doubled)
            && let Some(select) = query.body.as_select()
        {
            *table = select.from[0].relation.clone();
        }
        // What is in it now must not be doubled again.
        ControlFlow::Break(())
    }
}

#[test]
fn each_mutant_is_wrong_in_one_place() {
    let text = "-- title: x\nwith a as (select n from t where n < 3 and m = 1)\nselect sum(n) filter (where n >= 2) from a join b using (n)";
    let mutants = mutants("x", text);
    let titles: Vec<&str> = mutants.iter().map(|mutant| mutant.title.as_str()).collect();
    insta::assert_snapshot!(titles.join("\n"), @r"
    x: without `n < 3`
    x: without `m = 1`
    x: `t` doubled
    x: `n <= 3` for `<`
    x: without `n >= 2`
    x: `n > 2` for `>=`
    x: `a` doubled
    x: `b` doubled
    ");
    for mutant in &mutants {
        assert_ne!(parsed(&mutant.sql), parsed(text), "{}", mutant.title);
    }
}
