-- What was found of a sale by those who checked it: each verdict of an audit, and each fairness report as the page that it is.
-- Newest first, so that the latest is the first row of a sale's.

CREATE TABLE AuditVerdicts (
  SaleId       STRING(64) NOT NULL,
  MadeAt       TIMESTAMP NOT NULL OPTIONS (allow_commit_timestamp = true),
  -- What was audited is the sale as of then.
  AsOf         TIMESTAMP NOT NULL,
  IsClean      BOOL NOT NULL,
  -- One line: CLEAN, or BROKEN and what.
  Verdict      STRING(2000) NOT NULL,
  Orders       INT64 NOT NULL,
  Seconds      FLOAT64 NOT NULL,
  -- Who ran which command.
  MadeBy       STRING(140) NOT NULL,
  Command      STRING(40) NOT NULL,
  -- What was compared besides the database itself, and whether nothing was allowed to be under way.
  WithAnswers  BOOL NOT NULL,
  WithPayments BOOL NOT NULL,
  WithBook     BOOL NOT NULL,
  AtRest       BOOL NOT NULL,
) PRIMARY KEY (SaleId, MadeAt DESC),
  ROW DELETION POLICY (OLDER_THAN(MadeAt, INTERVAL 90 DAY));

CREATE TABLE FairnessPages (
  SaleId      STRING(64) NOT NULL,
  MadeAt      TIMESTAMP NOT NULL OPTIONS (allow_commit_timestamp = true),
  AsOf        TIMESTAMP NOT NULL,
  Verdict     STRING(2000) NOT NULL,
  Orders      INT64 NOT NULL,
  MadeBy      STRING(140) NOT NULL,
  Command     STRING(40) NOT NULL,
  WithAnswers BOOL NOT NULL,
  -- HTML, whole.
  Page        STRING(MAX) NOT NULL,
) PRIMARY KEY (SaleId, MadeAt DESC),
  ROW DELETION POLICY (OLDER_THAN(MadeAt, INTERVAL 90 DAY));
