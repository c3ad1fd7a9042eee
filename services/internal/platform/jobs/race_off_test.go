//go:build !race

package jobs_test

const slowdown = 1
