use super::{answer, days, definition, names, week};
use crate::report::{Ink, ReportFormat, Screen, write, write_for_terminal};
use clap::ValueEnum as _;
use store::Column;
use store::report::Answer;

fn written(answer: &Answer, format: ReportFormat) -> String {
    let mut output = Vec::new();
    write(answer, &[], format, &mut output).unwrap();
    let text = String::from_utf8(output).unwrap();
    text.replace(env!("CARGO_PKG_VERSION"), "[version]")
}

fn on_terminal(answer: &Answer, screen: Screen) -> String {
    let mut output = Vec::new();
    write_for_terminal(answer, screen, &mut output).unwrap();
    String::from_utf8(output).unwrap()
}

#[test]
fn a_terminal_shows_rows_with_bars_and_what_they_mean() {
    insta::assert_snapshot!(written(&days(), ReportFormat::Table), @r#"
    Active users by day
    How many people use the hub, day by day?
    1–4 March 2026 · hub lab (Europe/Berlin)

    day         users              weekly  mean (h)  success  at                quiet
    2026-03-01  1,200  ██████████   1,200       3.1  100.0 %  2026-03-02 00:30  no
    2026-03-02     30  ▎            1,210      <0.1   87.5 %  2026-03-02 09:05  no
    2026-03-03      –                   –         –        –  –                 –
    2026-03-04      0               1,210       0.0        –  –                 yes

    Note: 2026-03-04 is not over.

    A person counts on a day if a server of theirs ran. `weekly` are those of 7 days; a share below 1 is
    < 1. From the history of lab (Europe/Berlin), last read 2026-03-04 12:00; computed 2026-03-04 12:00.
    "#);
}

#[test]
fn a_terminal_is_not_moved_by_names() {
    let text = written(&names(), ReportFormat::Table);
    assert!(
        !text
            .chars()
            .any(|letter| letter.is_control() && letter != '\n')
    );
    insta::assert_snapshot!(text, @r#"
    Homes by size
    Whose homes are largest?
    1–4 March 2026 · hub lab (Europe/Berlin)

    user                       server     last_bytes
    =HYPERLINK("x")            (default)        40 B  ▏
    <script>alert(1)</script>  lab           1.6 KiB  ▏
    a|b                        (default)    62.5 KiB  ▏
    山田太郎                   (default)     2.4 MiB  ▏
    red\u{1b}[31m\nnext        (default)    97.7 MiB  ▏
    turned\u{202e}txt          (default)     3.8 GiB  ▎
    "'&</td>                   <i>         152.6 GiB  ██████████

    Note: 2026-03-04 is not over.

    Bytes of each home. From the history of lab (Europe/Berlin), last read 2026-03-04 12:00; computed
    2026-03-04 12:00.
    "#);
}

#[test]
fn a_terminal_shows_the_hub_where_there_are_several() {
    insta::assert_snapshot!(written(&week(), ReportFormat::Table), @r#"
    Hours of the week
    At which hours of the week is the hub busy?
    1–4 March 2026 · hubs lab (Europe/Berlin), far (Asia/Kathmandu)

    hub  weekday  hour   servers
    lab  Mon      10:00     1.00
    lab  Mon      09:00     0.50
    lab  Sun      09:00        –
    far  Mon      09:00     3.00
    far  Mon      10:00     0.00
    far  Sun      10:00     2.00

    Note: 2026-03-04 is not over.

    Servers that ran, on average. From the history of lab (Europe/Berlin), last read 2026-03-04 12:00;
    far (Asia/Kathmandu), last read 2026-03-04 16:45; computed 2026-03-04 11:00 UTC.
    "#);
}

#[test]
fn a_narrow_terminal_gets_shorter_lines_and_as_many_rows_as_it_wants() {
    let screen = Screen {
        width: 50,
        ink: Ink::Styled,
        most_rows: 2,
    };
    let text = on_terminal(&days(), screen).replace('\u{1b}', "^");
    insta::assert_snapshot!(text, @r#"
    ^[1mActive users by day^[0m
    How many people use the hub, day by day?
    ^[2m1–4 March 2026 · hub lab (Europe/Berlin)^[0m

    ^[1mday         users              weekly  mean (h)  success  at                quiet^[0m
    2026-03-01  1,200  ██████████   1,200       3.1  100.0 %  2026-03-02 00:30  no
    2026-03-02     30  ▎            1,210      <0.1   87.5 %  2026-03-02 09:05  no
    … 2 more rows, use --format csv

    Note: 2026-03-04 is not over.

    ^[2mA person counts on a day if a server of theirs^[0m
    ^[2mran. `weekly` are those of 7 days; a share below 1^[0m
    ^[2mis < 1. From the history of lab (Europe/Berlin),^[0m
    ^[2mlast read 2026-03-04 12:00; computed 2026-03-04^[0m
    ^[2m12:00.^[0m
    "#);
}

/// The answer as JSON, read again.
fn json(answer: &Answer) -> serde_json::Value {
    serde_json::from_str(&written(answer, ReportFormat::Json)).unwrap()
}

#[test]
fn programs_get_all_that_is_needed_to_believe_the_rows() {
    let mut json = json(&days());
    json.as_object_mut().unwrap().remove("rows");
    json["columns"].as_array_mut().unwrap().truncate(2);
    insta::assert_snapshot!(serde_json::to_string_pretty(&json).unwrap(), @r#"
    {
      "report": "active-users",
      "title": "Active users by day",
      "question": "How many people use the hub, day by day?",
      "definition": "A person counts on a day if a server of theirs ran. `weekly` are those of 7 days; a share below 1 is < 1.",
      "period": {
        "from": "2026-03-01",
        "to": "2026-03-04"
      },
      "hubs": [
        {
          "name": "lab",
          "zone": "Europe/Berlin",
          "begins": "2026-03-01",
          "read": "2026-03-04T11:00:00Z"
        }
      ],
      "parameters": {},
      "group": null,
      "user": null,
      "computed": "2026-03-04T11:00:30Z",
      "age_seconds": 30,
      "caveats": [
        "2026-03-04 is not over."
      ],
      "columns": [
        {
          "name": "hub",
          "kind": "text",
          "doc": "The hub."
        },
        {
          "name": "day",
          "kind": "day",
          "doc": "Day in the hub's time zone."
        }
      ],
      "n_rows": 4
    }
    "#);
}

#[test]
fn programs_get_plain_numbers_and_moments_in_utc() {
    let json = json(&days());
    let rows = json["rows"].as_array().unwrap().iter();
    let rows: Vec<String> = rows.map(ToString::to_string).collect();
    insta::assert_snapshot!(rows.join("\n"), @r#"
    {"hub":"lab","day":"2026-03-01","users":1200,"weekly":1200,"mean":3.1209,"success":1.0,"at":"2026-03-01T23:30:00Z","quiet":false}
    {"hub":"lab","day":"2026-03-02","users":30,"weekly":1210,"mean":0.01,"success":0.875,"at":"2026-03-02T08:05:59Z","quiet":false}
    {"hub":"lab","day":"2026-03-03","users":null,"weekly":null,"mean":null,"success":null,"at":null,"quiet":null}
    {"hub":"lab","day":"2026-03-04","users":0,"weekly":1210,"mean":0.0,"success":null,"at":null,"quiet":true}
    "#);
}

#[test]
fn names_are_left_alone_in_json() {
    let json = json(&names());
    let users = json["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["user"].as_str().unwrap());
    assert_eq!(users.collect::<Vec<_>>(), super::HOSTILE);
}

#[test]
fn some_rows_of_an_answer_are_a_page() {
    let answer = days();
    let page = serde_json::to_value(crate::report::Reply::page(&answer, 1..3)).unwrap();
    let days = page["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["day"].as_str().unwrap());
    assert_eq!(days.collect::<Vec<_>>(), ["2026-03-02", "2026-03-03"]);
    let none = serde_json::to_value(crate::report::Reply::page(&answer, 9..99)).unwrap();
    assert_eq!(none["rows"], serde_json::json!([]));
}

#[test]
fn a_spreadsheet_runs_no_name() {
    let names = written(&names(), ReportFormat::Csv);
    let names = names.replace('\u{1b}', "^").replace('\u{202e}', "<turn>");
    insta::assert_snapshot!(names, @r#"
    hub,user,server,last_bytes
    lab,"'=HYPERLINK(""x"")",,40.0
    lab,<script>alert(1)</script>,lab,1600.0
    lab,a|b,,64000.0
    lab,山田太郎,,2560000.0
    lab,"red^[31m
    next",,102400000.0
    lab,turned<turn>txt,,4096000000.0
    lab,"""'&</td>",<i>,163840000000.0
    "#);
    insta::assert_snapshot!(written(&days(), ReportFormat::Csv), @r#"
    hub,day,users,weekly,mean,success,at,quiet
    lab,2026-03-01,1200,1200,3.1209,1.0,2026-03-01T23:30:00Z,false
    lab,2026-03-02,30,1210,0.01,0.875,2026-03-02T08:05:59Z,false
    lab,2026-03-03,,,,,,
    lab,2026-03-04,0,1210,0.0,,,true
    "#);
}

#[test]
fn markdown_is_aligned_and_names_are_no_markup() {
    insta::assert_snapshot!(written(&days(), ReportFormat::Markdown), @r#"
    # Active users by day

    How many people use the hub, day by day?

    1–4 March 2026 · hub lab (Europe/Berlin)

    | Day        | Users | Weekly | Mean (h) | Success | At               | Quiet |
    |:-----------|------:|-------:|---------:|--------:|:-----------------|:------|
    | 2026-03-01 | 1,200 |  1,200 |      3.1 | 100.0 % | 2026-03-02 00:30 | no    |
    | 2026-03-02 |    30 |  1,210 |  &lt;0.1 |  87.5 % | 2026-03-02 09:05 | no    |
    | 2026-03-03 |     – |      – |        – |       – | –                | –     |
    | 2026-03-04 |     0 |  1,210 |      0.0 |       – | –                | yes   |

    **Note.** 2026-03-04 is not over.

    **Definition.** A person counts on a day if a server of theirs ran. *Weekly* are those of 7 days; a share below 1 is &lt; 1.

    From the history of lab (Europe/Berlin), last read 2026-03-04 12:00; computed 2026-03-04 12:00. Made by jupyterhub-insights [version].
    "#);
    insta::assert_snapshot!(written(&names(), ReportFormat::Markdown), @r#"
    # Homes by size

    Whose homes are largest?

    1–4 March 2026 · hub lab (Europe/Berlin)

    | User                                  | Server    |      Last |
    |:--------------------------------------|:----------|----------:|
    | =HYPERLINK("x")                       | (default) |      40 B |
    | &lt;script&gt;alert(1)&lt;/script&gt; | lab       |   1.6 KiB |
    | a\|b                                  | (default) |  62.5 KiB |
    | 山田太郎                              | (default) |   2.4 MiB |
    | red\\u{1b}\[31m\\nnext                | (default) |  97.7 MiB |
    | turned\\u{202e}txt                    | (default) |   3.8 GiB |
    | "'&amp;&lt;/td&gt;                    | &lt;i&gt; | 152.6 GiB |

    **Note.** 2026-03-04 is not over.

    **Definition.** Bytes of each home.

    From the history of lab (Europe/Berlin), last read 2026-03-04 12:00; computed 2026-03-04 12:00. Made by jupyterhub-insights [version].
    "#);
}

#[test]
fn parquet_is_parquet() {
    let mut output = Vec::new();
    write(&days(), &[], ReportFormat::Parquet, &mut output).unwrap();
    assert!(output.starts_with(b"PAR1") && output.ends_with(b"PAR1"));
}

/// No row at all, in each format.
#[test]
fn an_answer_without_rows_is_one() {
    let head = "-- title: Nothing\n-- section: Activity\n-- question: Is there?\n-- definition: No.\n\
        -- scope: none\n-- needs: none\n-- column: hub text The hub.\n-- column: users count People.\n\
        -- chart: bars x=hub y=users";
    let columns = vec![
        Column::text::<&str>("hub", []),
        Column::integer("users", []),
    ];
    let answer = answer(definition("nothing", head), columns);
    assert!(written(&answer, ReportFormat::Table).contains("There is nothing to show."));
    assert!(written(&answer, ReportFormat::Markdown).contains("There is nothing to show."));
    assert!(written(&answer, ReportFormat::Html).contains("There is nothing to show."));
    assert!(written(&answer, ReportFormat::Json).contains("\"rows\":[]"));
    assert_eq!(written(&answer, ReportFormat::Csv), "hub,users\n");
    let error = write(&answer, &[], ReportFormat::Svg, &mut Vec::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no picture of `nothing`: the report has none, or there is no row to draw"
    );
}

#[test]
fn formats_are_named_the_same_everywhere() {
    for format in ReportFormat::ALL {
        let value = format.to_possible_value().unwrap();
        assert_eq!(value.get_name(), format.name());
        assert_eq!(ReportFormat::from_name(format.name()), Some(format));
    }
    assert_eq!(ReportFormat::value_variants(), ReportFormat::ALL);
    assert_eq!(ReportFormat::from_name("pdf"), None);
    assert_eq!(ReportFormat::Table.extension(), "txt");
    assert_eq!(ReportFormat::Markdown.extension(), "md");
}
