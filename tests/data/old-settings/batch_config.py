import batchspawner

c.JupyterHub.spawner_class = "batchspawner.SlurmSpawner"
c.Spawner.http_timeout = 120
c.BatchSpawnerBase.req_nprocs = "2"
c.BatchSpawnerBase.req_runtime = "12:00:00"
c.BatchSpawnerBase.req_memory = "4gb"
c.SlurmSpawner.batch_script = """#!/bin/bash
#SBATCH --partition={partition}
{cmd}
"""
c.SlurmSpawner.start_timeout = 300
c.JupyterHub.authenticator_class = "jupyterhub.auth.PAMAuthenticator"
