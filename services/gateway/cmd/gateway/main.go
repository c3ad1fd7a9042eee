// Command gateway is Tasuki's front door.
package main

import "github.com/tasuki-project/tasuki/services/gateway"

func main() { gateway.Main() }
