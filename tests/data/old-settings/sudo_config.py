c.JupyterHub.spawner_class = "sudospawner.SudoSpawner"
c.SudoSpawner.sudospawner_path = "/opt/hub/bin/sudospawner"
c.JupyterHub.authenticator_class = "jupyterhub.auth.DummyAuthenticator"
c.JupyterHub.ip = ""
c.JupyterHub.bind_url = "http://:8000/hub-path"
c.LocalProcessSpawner.shell_cmd = ["bash", "-l", "-c"]
c.Spawner.cmd = ["/opt/conda/envs/lab/bin/jupyterhub-singleuser"]
