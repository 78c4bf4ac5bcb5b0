// Copyright 2017 Apache Holder
// All rights reserved.
package sub
