// Command tasuki is all of Tasuki in one process.
package main

import "github.com/tasuki-project/tasuki/services/allinone"

func main() { allinone.Main() }
