package store

// SharedAtOnce is how many transactions that Writes share run at once, and SharedWaiting how many Writes wait for one.
func SharedAtOnce(db *DB) int  { return sharedAtOnce(db.engine) }
func SharedWaiting(db *DB) int { return db.shared.Waiting() }
