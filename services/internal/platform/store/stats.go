package store

import "database/sql"

// Pool says how busy connections to the database are.
type Pool struct {
	// Name tells the pools of a database apart: `all` on PostgreSQL, `writer` and `reader` on SQLite.
	Name string
	// Max is how many connections there may be, InUse how many are at work, and Idle how many wait for some.
	Max, InUse, Idle int64
	// Waits counts since the start who had to wait for a connection.
	Waits int64
}

// Pools are the connections of the database now.
func (db *DB) Pools() []Pool { return db.be.pools() }

func (b *pgBackend) pools() []Pool {
	s := b.pool.Stat()
	return []Pool{{
		Name: "all", Max: int64(s.MaxConns()), InUse: int64(s.AcquiredConns()), Idle: int64(s.IdleConns()), Waits: s.EmptyAcquireCount(),
	}}
}

func (b *sqliteBackend) pools() []Pool {
	pools := make([]Pool, 0, 2)
	for _, p := range []struct {
		name string
		db   *sql.DB
	}{{"writer", b.writer}, {"reader", b.readers}} {
		s := p.db.Stats()
		pools = append(pools, Pool{
			Name: p.name, Max: int64(s.MaxOpenConnections), InUse: int64(s.InUse), Idle: int64(s.Idle), Waits: s.WaitCount,
		})
	}
	return pools
}
