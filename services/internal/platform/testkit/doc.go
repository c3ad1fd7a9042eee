// Package testkit gives tests their stores and their clock.
//
// A test asks for a store with the migrations it needs and gets an empty database of its own, on each engine:
//
//	testkit.Engines(t, func(t *testing.T, db *store.DB) { … }, event.Migrations(), migrations)
//
// SQLite always runs. PostgreSQL runs when TASUKI_TEST_POSTGRES_DSN names a server and a superuser; each content of
// migrations is applied once, to a template database, of which a test gets a copy. Databases of tests are dropped when the
// test ends; those of killed tests two hours later. Templates stay.
package testkit
