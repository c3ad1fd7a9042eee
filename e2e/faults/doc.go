// Package faults hurts a running Tasuki while leads flow, and then asks whether anything was lost or doubled.
//
// Five real processes run on a PostgreSQL of their own. Between the processes, and between each and its database, sit
// toxiproxies. Visitors leave leads and people of all departments work on them over REST, safe to repeat, while services are
// killed and paused, connections cut, slowed and broken, and PostgreSQL restarted and killed, all from one seed. Then
// everything is mended, the people finish what lies on their desks, and the books of all departments and all events are
// compared with what the callers were told.
//
//	make faults FAULTS=200 SEED=1
package faults
