//! What an error of a database means for whoever met it: one table for SQLite, PostgreSQL, MySQL
//! and MariaDB.
//!
//! Every code stands here once, with what is to be done about it; nobody else reads codes or texts
//! of errors. Codes of PostgreSQL are SQLSTATEs, of MySQL and MariaDB numbers, of SQLite numbers.

use sea_orm::sqlx::mysql::MySqlDatabaseError;
use sea_orm::sqlx::{self, error::DatabaseError};
use sea_orm::{DbErr, RuntimeErr};

/// The database could not do what was asked, or holds what cannot be.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("database: {0}")]
    Database(#[from] DbErr),
    #[error("a row of `{table}` does not make sense: {what}")]
    Row { table: &'static str, what: String },
    /// An ordinary no, which only the database could say.
    #[error("the condition of a write is not met")]
    NotMet,
}

impl StoreError {
    pub fn row(table: &'static str, what: impl std::fmt::Display) -> Self {
        Self::Row { table, what: what.to_string() }
    }

    /// What to do about it.
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::Row { .. } | Self::NotMet => Trouble::Content,
            Self::Database(error) => trouble(error),
        }
    }

    /// The database's own word for it: an SQLSTATE, or a number of MySQL or SQLite.
    pub fn code(&self) -> Option<String> {
        let Self::Database(error) = self else { return None };
        let sqlx::Error::Database(error) = sqlx_error(error)? else { return None };
        match error.try_downcast_ref::<MySqlDatabaseError>() {
            Some(error) => Some(error.number().to_string()),
            None => error.code().map(|code| code.into_owned()),
        }
    }

    /// Refused for what was said, not for how the database is doing: the same again meets the same.
    pub fn is_about_content(&self) -> bool {
        self.trouble() == Trouble::Content
    }
}

/// What an error asks for. After any of them the transaction is rolled back explicitly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// What was said cannot be: the same again meets the same.
    Content,
    /// Lost against another transaction, which is over: the same again at once may succeed.
    Collision,
    /// Waited too long for a lock that another transaction keeps: the same again meets it again.
    Locked,
    /// This server takes no writes now: a standby, a node without its cluster. Again later, or on
    /// another server.
    NotWritable,
    /// The connection or its server is gone. Again on a new connection.
    Gone,
    /// The database is not well in a way that is not known here. Again later.
    Other,
}

/// What an error asks for.
pub fn trouble(error: &DbErr) -> Trouble {
    match sqlx_error(error) {
        Some(sqlx::Error::Database(error)) => of_database(error.as_ref()),
        Some(sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::WorkerCrashed) => {
            Trouble::Gone
        }
        // The stream broke in the middle of a message.
        Some(sqlx::Error::Protocol(_)) => Trouble::Gone,
        Some(sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed) => Trouble::Gone,
        Some(sqlx::Error::BeginFailed) => Trouble::Gone,
        _ => Trouble::Other,
    }
}

/// Whether COMMIT was refused so that the transaction certainly is rolled back. After every other
/// error of a COMMIT nobody knows, and the batch's marker decides.
pub fn commit_was_refused(error: &DbErr) -> bool {
    match sqlx_error(error) {
        Some(sqlx::Error::Database(error)) => of_database(error.as_ref()) == Trouble::Collision,
        _ => false,
    }
}

fn sqlx_error(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error))
        | DbErr::Conn(RuntimeErr::SqlxError(error)) => Some(error),
        DbErr::ConnectionAcquire(sea_orm::ConnAcquireErr::Timeout) => {
            Some(&sqlx::Error::PoolTimedOut)
        }
        DbErr::ConnectionAcquire(sea_orm::ConnAcquireErr::ConnectionClosed) => {
            Some(&sqlx::Error::PoolClosed)
        }
        _ => None,
    }
}

fn of_database(error: &dyn DatabaseError) -> Trouble {
    if let Some(error) = error.try_downcast_ref::<MySqlDatabaseError>() {
        return of_mysql(error.number());
    }
    let code = error.code().unwrap_or_default();
    // Codes of SQLite have at most four digits, those of PostgreSQL five characters.
    match code.parse::<u32>() {
        Ok(number) if code.len() < 5 => of_sqlite(number),
        Ok(_) | Err(_) => of_postgres(&code),
    }
}

/// The low byte is the kind; the rest says more of it.
fn of_sqlite(code: u32) -> Trouble {
    match code & 0xff {
        // Error in SQL, too big, constraint, mismatch, misuse by range.
        1 | 18 | 19 | 20 | 25 => Trouble::Content,
        // Busy, table locked: another writer; each try has waited for the busy timeout.
        5 | 6 => Trouble::Collision,
        // Read-only.
        8 => Trouble::NotWritable,
        _ => Trouble::Other,
    }
}

fn of_postgres(code: &str) -> Trouble {
    match code {
        // Serialization failure, deadlock.
        "40001" | "40P01" => Trouble::Collision,
        // lock_timeout has run out.
        "55P03" => Trouble::Locked,
        // A standby, or default_transaction_read_only.
        "25006" => Trouble::NotWritable,
        // Shut down, crash of a backend, not accepting connections yet, database dropped, idle
        // session ended; idle in a transaction for too long; a transaction that took too long.
        "57P01" | "57P02" | "57P03" | "57P04" | "57P05" | "25P03" | "25P04" => Trouble::Gone,
        // A prepared statement is older than its table: prepared anew on another connection.
        "0A000" => Trouble::Gone,
        // Data exception, integrity violation, syntax or access.
        _ if ["22", "23", "42"].iter().any(|class| code.starts_with(class)) => Trouble::Content,
        // Connection exceptions.
        _ if code.starts_with("08") => Trouble::Gone,
        // Among them: no memory, no disk, too many connections, cancelled by an operator.
        _ => Trouble::Other,
    }
}

fn of_mysql(number: u16) -> Trouble {
    match number {
        // Deadlock, and a certification that failed on Galera; record has changed (MariaDB 11.6).
        1213 | 1020 => Trouble::Collision,
        // Lock wait timeout: rolls back only the statement.
        1205 => Trouble::Locked,
        // Read-only: by option, by setting, in a read-only transaction; a node of Galera that is
        // not part of the primary component; COMMIT failed for that (its outcome is unknown).
        1290 | 1792 | 1836 | 1047 | 1180 => Trouble::NotWritable,
        // Server shutdown, query or connection killed, idle for too long (MariaDB), lost.
        1053 | 1317 | 1927 | 4031 | 2006 | 2013 | 1152 | 1154..=1161 => Trouble::Gone,
        // A prepared statement, or a snapshot, that is older than its table.
        1615 | 1412 => Trouble::Gone,
        // NULL, duplicate, unknown column, syntax, missing table, foreign key, out of range, cut,
        // wrong value, no default, too long, CHECK of MariaDB and of MySQL, privileges; more than
        // max_allowed_packet in one statement.
        1048 | 1054 | 1062 | 1064 | 1146 | 1216 | 1217 | 1264 | 1265 | 1292 | 1364 | 1366
        | 1406 | 1451 | 1452 | 1690 | 4025 | 3819 | 1142 | 1143 | 1136 | 1153 | 1169 | 1586 => {
            Trouble::Content
        }
        _ => Trouble::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_sqlite() {
        for code in [19, 1299, 1555, 2067, 1, 20] {
            assert_eq!(of_sqlite(code), Trouble::Content, "{code}");
        }
        for (code, expected) in [
            (5, Trouble::Collision),
            (261, Trouble::Collision),
            (6, Trouble::Collision),
            (8, Trouble::NotWritable),
            (13, Trouble::Other),
            (10, Trouble::Other),
            (778, Trouble::Other),
            (14, Trouble::Other),
        ] {
            assert_eq!(of_sqlite(code), expected, "{code}");
        }
    }

    #[test]
    fn codes_of_postgres() {
        for (code, expected) in [
            ("40001", Trouble::Collision),
            ("40P01", Trouble::Collision),
            ("55P03", Trouble::Locked),
            ("25006", Trouble::NotWritable),
            ("57P01", Trouble::Gone),
            ("25P03", Trouble::Gone),
            ("08006", Trouble::Gone),
            ("23505", Trouble::Content),
            ("22001", Trouble::Content),
            ("42601", Trouble::Content),
            ("57014", Trouble::Other),
            ("53100", Trouble::Other),
        ] {
            assert_eq!(of_postgres(code), expected, "{code}");
        }
    }

    #[test]
    fn codes_of_mysql() {
        for (number, expected) in [
            (1213, Trouble::Collision),
            (1020, Trouble::Collision),
            (1205, Trouble::Locked),
            (1290, Trouble::NotWritable),
            (1047, Trouble::NotWritable),
            (1180, Trouble::NotWritable),
            (1927, Trouble::Gone),
            (1062, Trouble::Content),
            (1406, Trouble::Content),
            (1040, Trouble::Other),
        ] {
            assert_eq!(of_mysql(number), expected, "{number}");
        }
    }

    #[test]
    fn a_lost_connection_is_no_answer_to_a_commit() {
        let lost = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        let lost = DbErr::Exec(RuntimeErr::SqlxError(std::sync::Arc::new(lost.into())));
        assert_eq!(trouble(&lost), Trouble::Gone);
        assert!(!commit_was_refused(&lost));
    }
}
