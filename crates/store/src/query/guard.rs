//! What is refused before anything runs.
//!
//! Planning is plain computation that no time-out interrupts, and a deep tree is walked by
//! recursion: texts and plans that would blow up are refused by their shape. Limits are far
//! above what people write.

use super::error::QueryError;
use super::functions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result as PlanResult, ScalarValue};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{
    self, Expr as SqlExpr, Statement as SqlStatement, TableFactor, Visit, Visitor,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Word};
use std::collections::HashMap;
use std::ops::ControlFlow;

/// Of the text.
pub(super) const MAX_SQL_BYTES: usize = 64 << 10;
/// Parentheses, `case` and `not` inside each other.
const MAX_NESTING: usize = 50;
/// `a + b + c …` is as deep as it is long.
const MAX_DEPTH: usize = 1_000;
/// `union`, `intersect` and `except`.
const MAX_SET_OPERATIONS: usize = 100;
/// Tables, views and sub-queries; a part of a `with` counts each time it is named, since planning
/// writes it out.
const MAX_TABLES: usize = 500;
/// Steps of the plan, views included.
const MAX_STEPS: usize = 2_000;
/// Parts of one expression when all that it names is written out.
const MAX_WRITTEN_OUT: u64 = 20_000;
/// Copies that `case` and `cast` make: their results are not charged to the memory pool.
const MAX_COPIES: usize = 200;
/// Constant text that may be copied to every row.
const MAX_CONSTANT_TEXT: usize = 32 << 10;

/// The one statement of the text, if it only reads.
pub(crate) fn parse(sql: &str) -> Result<Statement, QueryError> {
    if sql.len() > MAX_SQL_BYTES {
        return Err(QueryError::not_allowed(
            format!("a query of {} bytes", sql.len()),
            format!("at most {MAX_SQL_BYTES} bytes"),
        ));
    }
    let dialect = GenericDialect {};
    let mut tokens = Tokenizer::new(&dialect, sql)
        .tokenize_with_location()
        .map_err(|error| QueryError::Syntax(error.to_string()))?;
    let n_set_operations = tokens
        .iter()
        .filter(|token| is_set_operation(token))
        .count();
    if n_set_operations > MAX_SET_OPERATIONS {
        return Err(QueryError::not_allowed(
            format!("{n_set_operations} times `union`, `intersect` or `except`"),
            format!("at most {MAX_SET_OPERATIONS}"),
        ));
    }
    quote_column_names(&mut tokens);
    let mut statements = DFParserBuilder::new(tokens)
        .with_dialect(&dialect)
        .with_recursion_limit(MAX_NESTING)
        .build()
        .and_then(|mut parser| parser.parse_statements())
        .map_err(|error| match QueryError::from(error) {
            QueryError::Syntax(message) if message.contains("recursion limit") => {
                too_deep(MAX_NESTING)
            }
            other => other,
        })?;
    let statement = statements
        .pop_front()
        .ok_or_else(|| QueryError::Syntax("there is no query: write `select …`".into()))?;
    if !statements.is_empty() {
        return Err(QueryError::not_allowed(
            "more than one statement",
            "send them one by one",
        ));
    }
    check_statement(&statement)?;
    Ok(statement)
}

fn too_deep(limit: usize) -> QueryError {
    QueryError::not_allowed(
        "an expression nested so deep",
        format!("at most {limit} levels; write a long list as `in (…)`"),
    )
}

fn keyword(token: &TokenWithSpan) -> Option<Keyword> {
    match &token.token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.keyword),
        _ => None,
    }
}

fn is_set_operation(token: &TokenWithSpan) -> bool {
    matches!(
        keyword(token),
        Some(Keyword::UNION | Keyword::INTERSECT | Keyword::EXCEPT)
    )
}

/// Makes `user` and `group` the columns that they are here, where SQL would take them for the
/// name of the database's user and for half of `group by`.
fn quote_column_names(tokens: &mut [TokenWithSpan]) {
    let is_space = |token: &Token| matches!(token, Token::Whitespace(_));
    for at in 0..tokens.len() {
        let next = tokens[at + 1..]
            .iter()
            .find(|token| !is_space(&token.token));
        let before = tokens[..at].iter().rfind(|token| !is_space(&token.token));
        let is_call = next.is_some_and(|next| next.token == Token::LParen);
        let name = match keyword(&tokens[at]) {
            Some(Keyword::USER) if !is_call => "user",
            Some(Keyword::GROUP)
                if next.and_then(keyword) != Some(Keyword::BY)
                    && before.and_then(keyword) != Some(Keyword::WITHIN) =>
            {
                "group"
            }
            _ => continue,
        };
        tokens[at].token = Token::Word(Word {
            value: name.to_owned(),
            quote_style: Some('"'),
            keyword: Keyword::NoKeyword,
        });
    }
}

const ONLY_READS: &str = "only `select` and `explain` are";

fn check_statement(statement: &Statement) -> Result<(), QueryError> {
    match statement {
        Statement::Statement(inner) => match inner.as_ref() {
            query @ SqlStatement::Query(_) => check_query(query),
            other => Err(QueryError::not_allowed(first_words(other), ONLY_READS)),
        },
        Statement::Explain(explain) => check_statement(&explain.statement),
        Statement::CreateExternalTable(_) => Err(QueryError::not_allowed(
            "`create external table`",
            ONLY_READS,
        )),
        Statement::CopyTo(_) => Err(QueryError::not_allowed("`copy`", ONLY_READS)),
        Statement::Reset(_) => Err(QueryError::not_allowed("`reset`", ONLY_READS)),
    }
}

/// What the statement begins with: its parts may be long.
fn first_words(statement: &SqlStatement) -> String {
    let text = statement.to_string().to_lowercase();
    let words: Vec<_> = text.split_whitespace().take(1).collect();
    format!("`{}`", words.join(" "))
}

fn check_query(statement: &SqlStatement) -> Result<(), QueryError> {
    let mut shape = Shape::default();
    match statement.visit(&mut shape) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// What is counted while the text's tree is walked.
#[derive(Default)]
struct Shape {
    depth: usize,
    /// Tables named so far in each query around this place, parts of `with` written out.
    n_tables: Vec<usize>,
    /// Tables in each part of `with` that was seen.
    parts: HashMap<String, usize>,
    /// The queries that are such a part, by their place in memory: the tree stays where it is.
    names: HashMap<*const ast::Query, String>,
}

impl Visitor for Shape {
    type Break = QueryError;

    fn pre_visit_query(&mut self, query: &ast::Query) -> ControlFlow<QueryError> {
        if query.with.as_ref().is_some_and(|with| with.recursive) {
            return ControlFlow::Break(QueryError::not_allowed(
                "`with recursive`",
                "write the steps out, or use window functions",
            ));
        }
        for part in query.with.iter().flat_map(|with| &with.cte_tables) {
            let name = part.alias.name.value.to_lowercase();
            self.names
                .insert(std::ptr::from_ref(part.query.as_ref()), name);
        }
        self.n_tables.push(1);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &ast::Query) -> ControlFlow<QueryError> {
        let n_tables = self.n_tables.pop().unwrap_or(1);
        if n_tables > MAX_TABLES {
            let hint = "name the parts of a `with` less often, or ask in two queries";
            return ControlFlow::Break(QueryError::not_allowed("so large a query", hint));
        }
        if let Some(name) = self.names.remove(&std::ptr::from_ref(query)) {
            let known = self.parts.entry(name).or_default();
            *known = n_tables.max(*known);
        } else if let Some(around) = self.n_tables.last_mut() {
            *around = around.saturating_add(n_tables);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &ast::Select) -> ControlFlow<QueryError> {
        if select.into.is_some() {
            return ControlFlow::Break(QueryError::not_allowed("`select … into`", ONLY_READS));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ast::ObjectName) -> ControlFlow<QueryError> {
        let name = relation.to_string().to_lowercase();
        let weight = self.parts.get(name.trim_matches('"')).copied().unwrap_or(1);
        if let Some(here) = self.n_tables.last_mut() {
            *here = here.saturating_add(weight);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<QueryError> {
        match factor {
            TableFactor::Table { args: None, .. }
            | TableFactor::Derived { .. }
            | TableFactor::NestedJoin { .. } => ControlFlow::Continue(()),
            _ => ControlFlow::Break(QueryError::not_allowed(
                "a function in place of a table",
                "only tables, views and sub-queries stand after `from`",
            )),
        }
    }

    fn pre_visit_expr(&mut self, _: &SqlExpr) -> ControlFlow<QueryError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return ControlFlow::Break(too_deep(MAX_DEPTH));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, _: &SqlExpr) -> ControlFlow<QueryError> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
}

/// Refuses a plan whose optimisation would blow up, before it is optimised.
/// `more` are functions beside those of the list.
pub(super) fn check_plan(plan: &LogicalPlan, more: &[&str]) -> Result<(), QueryError> {
    let mut n_steps = 0;
    let mut n_copies = 0;
    // Ends early, so that a plan of a billion steps (shared parts, counted each time) is no burden.
    plan.apply_with_subqueries(|step| {
        n_steps += 1;
        if n_steps > MAX_STEPS {
            let hint = "name the parts of a `with` less often, or ask in two queries";
            return Err(QueryError::not_allowed("so large a query", hint).into_library());
        }
        step.apply_expressions(|expr| {
            expr.apply(|part| {
                n_copies += usize::from(copies(part));
                check_function(part, more)?;
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    if n_copies > MAX_COPIES {
        let hint = format!("at most {MAX_COPIES}; join a table of values instead");
        let what = format!("{n_copies} times `case` or `cast`");
        return Err(QueryError::not_allowed(what, hint));
    }
    written_out(plan)?;
    Ok(())
}

fn copies(expr: &Expr) -> bool {
    // The tables' own casts of a column are no concern: each column has one.
    match expr {
        Expr::Case(_) => true,
        Expr::Cast(cast) => !matches!(cast.expr.as_ref(), Expr::Column(_) | Expr::Literal(..)),
        Expr::TryCast(cast) => !matches!(cast.expr.as_ref(), Expr::Column(_) | Expr::Literal(..)),
        _ => false,
    }
}

/// Once more what the list of functions already guarantees: syntax can become functions that no
/// list was asked for.
fn check_function(expr: &Expr, more: &[&str]) -> PlanResult<()> {
    let Expr::ScalarFunction(call) = expr else {
        return Ok(());
    };
    if functions::names().binary_search(&call.name()).is_ok() || more.contains(&call.name()) {
        return Ok(());
    }
    let what = format!("the function `{}`", call.name());
    Err(QueryError::not_allowed(what, "`sql --help` lists those that are").into_library())
}

/// Sizes of a step's columns, as many parts as they have when all that they name is written out.
///
/// The optimiser does write them out when it moves a filter below the expressions that it names:
/// `select a + a as a from (select a + a as a from …)` has 2^n parts.
fn written_out(plan: &LogicalPlan) -> Result<Vec<u64>, QueryError> {
    let inputs: Vec<Vec<u64>> = plan
        .inputs()
        .into_iter()
        .map(written_out)
        .collect::<Result<_, _>>()?;
    let mut of_columns: HashMap<Column, u64> = HashMap::new();
    for (input, sizes) in plan.inputs().into_iter().zip(&inputs) {
        of_columns.extend(
            input
                .schema()
                .columns()
                .into_iter()
                .zip(sizes.iter().copied()),
        );
    }
    let sizes = plan
        .expressions()
        .iter()
        .map(|expr| {
            let size = size_of(expr, &of_columns);
            if size > MAX_WRITTEN_OUT {
                let hint = "the same column stands in too many expressions of each other";
                return Err(QueryError::not_allowed("so large an expression", hint));
            }
            Ok(size)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let n_columns = plan.schema().fields().len();
    Ok(match plan {
        LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) => {
            // An aggregate over grouping sets gives one column more than it has expressions.
            let mut sizes = sizes;
            sizes.resize(n_columns, 1);
            sizes
        }
        LogicalPlan::Union(_) => (0..n_columns)
            .map(|at| {
                let of_inputs = inputs.iter().filter_map(|sizes| sizes.get(at));
                of_inputs.copied().max().unwrap_or(1)
            })
            .collect(),
        _ => {
            let mut all = inputs.concat();
            all.resize(n_columns, 1);
            all
        }
    })
}

fn size_of(expr: &Expr, of_columns: &HashMap<Column, u64>) -> u64 {
    let mut size: u64 = 0;
    // The closure never fails.
    let _ = expr.apply(|part| {
        size = size.saturating_add(match part {
            Expr::Column(column) => of_columns.get(column).copied().unwrap_or(1),
            _ => 1,
        });
        // A list of constants is one part, however long.
        Ok(match part {
            Expr::InList(list)
                if list
                    .list
                    .iter()
                    .all(|item| matches!(item, Expr::Literal(..))) =>
            {
                size = size.saturating_add(size_of(&list.expr, of_columns));
                TreeNodeRecursion::Jump
            }
            _ => TreeNodeRecursion::Continue,
        })
    });
    size
}

/// Refuses long constants that the optimiser made: they would be copied to every row.
pub(super) fn check_constants(plan: &LogicalPlan) -> Result<(), QueryError> {
    let mut bytes = 0;
    plan.apply_with_subqueries(|step| {
        // Filters and joins compare with a constant, they do not copy it.
        if matches!(
            step,
            LogicalPlan::Filter(_) | LogicalPlan::Join(_) | LogicalPlan::TableScan(_)
        ) {
            return Ok(TreeNodeRecursion::Continue);
        }
        step.apply_expressions(|expr| {
            expr.apply(|part| {
                if matches!(part, Expr::InList(_)) {
                    return Ok(TreeNodeRecursion::Jump);
                }
                bytes += text_bytes(part);
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    if bytes > MAX_CONSTANT_TEXT {
        let hint = format!("at most {MAX_CONSTANT_TEXT} bytes outside of filters");
        return Err(QueryError::not_allowed("so much constant text", hint));
    }
    Ok(())
}

fn text_bytes(expr: &Expr) -> usize {
    match expr {
        Expr::Literal(
            ScalarValue::Utf8(Some(text))
            | ScalarValue::Utf8View(Some(text))
            | ScalarValue::LargeUtf8(Some(text)),
            _,
        ) => text.len(),
        _ => 0,
    }
}
