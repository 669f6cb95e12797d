use super::pages::{page, words};
use super::{answer, days, definition, names, week};
use crate::report::{ReportFormat, write};
use store::Column;
use store::report::Answer;

const HEAD: &str = "\
-- title: Overview
-- section: Overview
-- question: Is it worth it?
-- definition: Numbers of the period, `before` of as many days before. `users` are people, `odd` is nothing.
-- scope: group
-- needs: sessions
-- column: hub text The hub.
-- column: number text Which.
-- column: title text What it is.
-- column: value number How much.
-- column: before number How much before.
-- column: change share By how much it changed.
-- column: difference number The same in the unit.
-- column: unit text Of what.
-- column: report text Where to read on.";

fn numbers() -> Answer {
    let mut answer = answer(
        definition("overview", HEAD),
        vec![
            Column::text("hub", [Some("lab"); 6]),
            Column::text(
                "number",
                ["users", "hours", "new-users", "starts", "homes", "gpu"].map(Some),
            ),
            Column::text(
                "title",
                [
                    "People",
                    "Server hours",
                    "New people",
                    "Starts that worked",
                    "Homes",
                    "<b>GPU",
                ]
                .map(Some),
            ),
            Column::real(
                "value",
                [
                    Some(812.0),
                    Some(12_345.6),
                    Some(1.0),
                    Some(0.987),
                    Some(2e12),
                    None,
                ],
            ),
            Column::real(
                "before",
                [
                    Some(780.0),
                    Some(13_717.0),
                    Some(0.0),
                    Some(0.95),
                    None,
                    Some(1.5),
                ],
            ),
            Column::real(
                "change",
                [Some(0.041), Some(-0.1), None, Some(0.038), None, Some(0.0)],
            ),
            Column::real(
                "difference",
                [
                    Some(32.0),
                    Some(-1371.4),
                    Some(1.0),
                    Some(0.037),
                    None,
                    Some(0.0),
                ],
            ),
            Column::text(
                "unit",
                [
                    "people",
                    "server hours",
                    "people",
                    "share",
                    "bytes",
                    "GPU hours",
                ]
                .map(Some),
            ),
            Column::text(
                "report",
                ["active-users", "a", "b", "c", "d", "e"].map(Some),
            ),
        ],
    );
    answer.caveats.push("A day is missing.".to_owned());
    answer
}

#[test]
fn the_overview_says_what_became_of_each_number() {
    let page = page(&numbers(), &[&days(), &names(), &week()]);
    insta::assert_snapshot!(words(&page), @r#"
    <header>
      <p class="section">Overview</p>
      <h1>The hub lab at a glance</h1>
      <p class="question">1–4 March 2026</p>
    </header>
    <section class="hub">
      <p class="sentences">In the 4 days up to 4 March 2026, 812 people used the hub, 4 % more than in the 4 days before. 1 person joined, 1 more than before.</p>
      <p class="sentences">Servers ran for 12,346 hours in all, 10 % less than before.</p>
      <div class="cards">
        <div class="card">
          <p class="name">People</p>
          <p class="size">812</p>
          <p class="change"><span class="sign" aria-hidden="true">▲</span> 4 % more</p>
          <p class="before">780 before</p>
        </div>
        <div class="card">
          <p class="name">Server hours</p>
          <p class="size">12,346</p>
          <p class="change"><span class="sign" aria-hidden="true">▼</span> 10 % less</p>
          <p class="before">13,717 before</p>
        </div>
        <div class="card">
          <p class="name">New people</p>
          <p class="size">1</p>
          <p class="change"><span class="sign" aria-hidden="true">▲</span> 1 more</p>
          <p class="before">0 before</p>
        </div>
        <div class="card">
          <p class="name">Starts that worked</p>
          <p class="size">98.7<span>&#160;%</span></p>
          <p class="change"><span class="sign" aria-hidden="true">▲</span> 3.7 points more</p>
          <p class="before">95.0 % before</p>
        </div>
        <div class="card">
          <p class="name">Homes</p>
          <p class="size">1.8<span>&#160;TiB</span></p>
          <p class="change">nothing to compare with</p>
        </div>
        <div class="card">
          <p class="name">&#60;b&#62;GPU</p>
          <p class="size">–</p>
          <p class="change">not known</p>
          <p class="before">1.5 before</p>
        </div>
      </div>
    </section>
    <figure>
      <figcaption>Active users by day <span>How many people use the hub, day by day?</span></figcaption>
      [picture]
    </figure>
    <div class="pair">
    <figure>
      <figcaption>Homes by size <span>Whose homes are largest?</span></figcaption>
      [picture]
    </figure>
    <figure>
      <figcaption>Hours of the week: lab <span>At which hours of the week is the hub busy?</span></figcaption>
      [picture]
    </figure>
    <figure>
      <figcaption>Hours of the week: far <span>At which hours of the week is the hub busy?</span></figcaption>
      [picture]
    </figure>
    </div>
    <section class="small">
      <h2>Worth knowing</h2>
      <ul>
        <li>2026-03-04 is not over.</li>
        <li>A day is missing.</li>
      </ul>
      <h2>How it is counted</h2>
      <p><strong>The numbers.</strong> Numbers of the period, <em>Before</em> of as many days before. <em>People</em> are people, <code>odd</code> is nothing.</p>
      <p><strong>Active users by day.</strong> A person counts on a day if a server of theirs ran. <em>Weekly</em> are those of 7 days; a share below 1 is &#60; 1.</p>
      <p><strong>Homes by size.</strong> Bytes of each home.</p>
      <p><strong>Hours of the week.</strong> Servers that ran, on average.</p>
    </section>

    <footer>From the history of lab (Europe/Berlin), last read 2026-03-04 12:00; computed 2026-03-04 12:00. Made by jupyterhub-insights [version].</footer>
    "#);
}

#[test]
fn each_hub_has_its_own_numbers() {
    let mut numbers = numbers();
    numbers.hubs.push(super::hub("far", "Asia/Kathmandu"));
    let page = page(&numbers, &[]);
    assert!(page.contains("<h2>lab</h2>") && page.contains("<h2>far</h2>"));
}

#[test]
fn nothing_is_said_of_what_is_not_known() {
    let mut numbers = numbers();
    numbers.from = numbers.to;
    let page = words(&page(&numbers, &[]));
    assert!(page.contains(
        "On 4 March 2026, 812 people used the hub, 4\u{a0}% more than on the day before."
    ));
    assert!(page.contains("1 person joined, 1 more than before."));
    assert!(!page.contains("GPUs were held"));
}

#[test]
fn a_terminal_shows_each_number_in_its_unit() {
    let mut output = Vec::new();
    write(&numbers(), &[], ReportFormat::Table, &mut output).unwrap();
    let text = String::from_utf8(output).unwrap();
    insta::assert_snapshot!(text.split("\n\n").nth(1).unwrap(), @r#"
    number     title                 value  before   change  difference  unit          report
    users      People                  812     780    4.1 %          32  people        active-users
    hours      Server hours         12,346  13,717  −10.0 %      −1,371  server hours  a
    new-users  New people                1       0        –           1  people        b
    starts     Starts that worked   98.7 %  95.0 %    3.8 %       3.7 %  share         c
    homes      Homes               1.8 TiB       –        –           –  bytes         d
    gpu        <b>GPU                    –     1.5    0.0 %           0  GPU hours     e
    "#);
}

#[test]
fn of_few_things_the_difference_is_told_and_not_the_percentage() {
    let mut numbers = numbers();
    // Of the last one a day is not known.
    let columns = ["users", "new-users", "sessions", "hours", "peak"];
    let n = columns.len();
    numbers.table = store::Table::new(vec![
        Column::text("hub", vec![Some("lab"); n]),
        Column::text("number", columns.map(Some)),
        Column::text("title", ["A", "B", "C", "D", "E"].map(Some)),
        Column::real("value", [0.0, 3.0, 10.0, 1.5, 0.0].map(Some)),
        Column::real("before", [1.0, 1.0, 20.0, 3.0, 3.0].map(Some)),
        Column::real(
            "change",
            [Some(-1.0), Some(2.0), Some(-0.5), Some(-0.5), None],
        ),
        Column::real(
            "difference",
            [Some(-1.0), Some(2.0), Some(-10.0), Some(-1.5), None],
        ),
        Column::text(
            "unit",
            ["people", "people", "sessions", "server hours", "servers"].map(Some),
        ),
        Column::text("report", vec![Some("a"); n]),
    ])
    .unwrap();
    let page = words(&page(&numbers, &[])).replace('\u{a0}', " ");
    let said = page.split("<span class=\"sign\"").skip(1);
    let said: Vec<&str> = said
        .map(|rest| rest.split_once("</span> ").unwrap().1)
        .map(|rest| rest.split_once('<').unwrap().0)
        .collect();
    assert_eq!(said, ["1 fewer", "2 more", "50 % fewer", "50 % less"]);
}

#[test]
fn a_change_of_the_days_that_are_over_is_told_as_such() {
    let mut numbers = numbers();
    numbers.table = store::Table::new(vec![
        Column::text("hub", [Some("lab"); 2]),
        Column::text("number", [Some("users"), Some("peak")]),
        Column::text("title", [Some("People"), Some("Most servers at once")]),
        Column::real("value", [Some(178.0), Some(30.0)]),
        Column::real("before", [Some(172.0), Some(25.0)]),
        Column::real("change", [Some(-1.0 / 172.0), Some(0.2)]),
        Column::real("difference", [Some(-1.0), Some(5.0)]),
        Column::text("unit", [Some("people"), Some("servers")]),
        Column::text("report", [Some("a"); 2]),
    ])
    .unwrap();
    let page = words(&page(&numbers, &[])).replace('\u{a0}', " ");
    assert!(page.contains(
        "178 people used the hub, without today, 0.6 % fewer than in as many days before."
    ));
    assert!(page.contains("0.6 % fewer without today</p>"));
    assert!(page.contains("20 % more</p>"), "{page}");
}
