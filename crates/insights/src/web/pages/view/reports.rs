//! *Reports*: the table of contents, one report, and links that share one.

use super::layout::{Layout, Notice};
use super::part::{Downloads, PartBox};
use super::picker::{PeriodPicker, Select};
use super::time::When;
use askama::Template;
use jiff::Timestamp;
use jiff::civil::Date;

/// All reports by section.
#[derive(Clone, Debug, Template)]
#[template(path = "reports.html")]
pub(crate) struct ReportsPage {
    /// Around it.
    pub(crate) layout: Layout,
    /// In the order of the table of contents.
    pub(crate) sections: Vec<ReportSection>,
}

/// A part of the table of contents.
#[derive(Clone, Debug)]
pub(crate) struct ReportSection {
    /// Its heading.
    pub(crate) title: String,
    /// Its reports.
    pub(crate) reports: Vec<ReportLink>,
}

/// A report in the table of contents.
#[derive(Clone, Debug)]
pub(crate) struct ReportLink {
    /// Its title.
    pub(crate) title: String,
    /// What it answers; quotes are escaped already.
    pub(crate) question_html: String,
    /// Its page.
    pub(crate) href: String,
}

/// One report with all that may be chosen.
#[derive(Clone, Debug, Template)]
#[template(path = "one_report.html")]
pub(crate) struct OneReportPage {
    /// Around it; the title is that of the report.
    pub(crate) layout: Layout,
    /// Period, hub, group and the report's own parameters; none where they are fixed.
    pub(crate) picker: Option<PeriodPicker>,
    /// What has to be said before.
    pub(crate) notices: Vec<Notice>,
    /// CSV, Parquet, Markdown, HTML, SVG.
    pub(crate) downloads: Downloads,
    /// The answer.
    pub(crate) part: PartBox,
}

/// Links that show one report without a login.
#[derive(Clone, Debug, Template)]
#[template(path = "shares.html")]
pub(crate) struct SharesPage {
    /// Around it.
    pub(crate) layout: Layout,
    /// What was done just now, or could not be.
    pub(crate) notices: Vec<Notice>,
    /// The whole address of one that was made just now; it is shown once.
    pub(crate) made: Option<String>,
    /// Those that there are.
    pub(crate) shares: Vec<ShareRow>,
    /// What a new one may show.
    pub(crate) form: ShareForm,
}

/// A link that there is.
#[derive(Clone, Debug)]
pub(crate) struct ShareRow {
    /// The report.
    pub(crate) report: String,
    /// Its period, group and filters, in words.
    pub(crate) of: String,
    /// Who made it.
    pub(crate) maker: String,
    /// When.
    pub(crate) made: Timestamp,
    /// Until when it works.
    pub(crate) expires: Timestamp,
    /// What the form that revokes it says; never the secret itself.
    pub(crate) id: String,
}

impl ShareRow {
    fn since(&self) -> When {
        When::Moment(self.made)
    }

    fn until(&self) -> When {
        When::Moment(self.expires)
    }
}

/// The form that makes a link: fields `report`, `from`, `to`, those of `selects`, `days`.
#[derive(Clone, Debug)]
pub(crate) struct ShareForm {
    /// Takes the form.
    pub(crate) action: String,
    /// Takes the form that revokes one, with the field `id`.
    pub(crate) revoke: String,
    /// First day that is offered.
    pub(crate) from: Date,
    /// Last day that is offered.
    pub(crate) to: Date,
    /// The report, the hub, the group.
    pub(crate) selects: Vec<Select>,
    /// For how many days it works, if nobody says.
    pub(crate) days: u32,
    /// For how many at most.
    pub(crate) most_days: u32,
    /// Groups of fewer people are not shown.
    pub(crate) least_people: u32,
}
