// Package clock is the one way to ask for the time, so that tests own it.
package clock
