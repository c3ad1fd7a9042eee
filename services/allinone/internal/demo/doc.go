// Package demo plays a company over REST: it imports lead files and then acts for the people of all four departments, until
// every lead has found its end. It uses nothing but the gateway, and decides by what it finds there, so it can be stopped
// anywhere and started again.
package demo
