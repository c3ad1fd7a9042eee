//go:build race

package jobs_test

// slowdown is what the race detector costs at the most; SQLite, which is Go code here, feels it most.
const slowdown = 10
